import pytest

from mmcoordgan.io import tables


def test_rows_come_back_and_no_text_is_a_formula(tmp_path, monkeypatch):
    path, rows = str(tmp_path / 'x.csv'), [['=1+1', 'a, "b"'], ["'c'", '-2'], ['d\r\n\udcff', '']]
    tables.add_rows(path, ['x', 'y'], rows[:1], new=True)
    tables.add_rows(path, ['x', 'y'], rows[1:], new=False)
    content = (tmp_path / 'x.csv').read_bytes()
    assert b"x,y\r\n'=1+1," in content and b",'-2\r\n" in content
    assert [list(row.values()) for row in tables.read_rows(path, ['y'])] == rows
    monkeypatch.setattr(tables, 'MAX_BYTES', len(content) - 1)
    with pytest.raises(ValueError, match='it takes more than'):
        list(tables.read_rows(path, ['y']))
