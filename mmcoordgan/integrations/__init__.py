"""What knows other packages of OpenMMLab: MMagic."""
