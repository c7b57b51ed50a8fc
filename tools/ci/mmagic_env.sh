#!/usr/bin/env bash
# A virtual environment in which MMagic 1.2 runs, with the versions in requirements/mmagic.txt: see
# usage below.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/ci/mmagic_env.sh [--compiled] [--check] [FOLDER]

Builds a virtual environment for Python 3.11 on Linux (x86-64) in which MMagic 1.2 runs on a CPU, in a
few minutes. It has PyTorch 2.13 and mmcv-lite, with tools/ci/mmcv_ext.py in place of mmcv's compiled
operators, and MMagic's other requirements as pinned in requirements/mmagic.txt. This is what .ci/run
tests with. mmcoordgan itself is not installed.

Run the command again to finish an interrupted build. A complete folder is left as it is.

  --compiled  build what users need on a GPU: all of requirements/mmagic.txt, with PyTorch 2.1.
              Downloads about 6 GB and compiles mmcv's operators (about 40 minutes on one CPU core;
              MAX_JOBS sets how many are used)
  --check     build nothing; exit with 0 if the folder is complete, else with 1
  FOLDER      where to build [$MMCOORDGAN_MMAGIC_ENV, or
              ${XDG_CACHE_HOME:-~/.cache}/mmcoordgan/mmagic-1.2, or ...-1.2-compiled]
  PYTHON      environment variable: the Python 3.11 to use [python3.11]
TEXT
}

check='' compiled=''
while [[ ${1:-} == -* ]]; do
    case $1 in
    -h | --help) usage && exit 0 ;;
    --check) check=1 ;;
    --compiled) compiled=-compiled ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done
if [ $# -gt 1 ]; then
    usage >&2
    exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/../../requirements/mmagic.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mmcoordgan/mmagic-1.2$compiled
folder=${1:-${MMCOORDGAN_MMAGIC_ENV:-$cache}}
stamp=$folder/requirements.sha256
wanted=$(cat "$requirements" "$here"/mmagic_env.sh "$here"/mmcv_ext.py | sha256sum | cut -d' ' -f1)

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    echo "complete: $folder"
    exit 0
elif [ -n "$check" ]; then
    echo "not complete: $folder"
    exit 1
fi

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/.lock"
if ! flock --nonblock 9; then
    echo "another process is building $folder" >&2
    exit 1
fi
rm -f "$folder/requirements.sha256"

if [ ! -x "$folder/bin/pip" ]; then
    python=${PYTHON:-python3.11}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
        echo "mmagic_env.sh needs Python 3.11: set PYTHON to it ($python is none)" >&2
        exit 1
    fi
    "$python" -m venv "$folder"
fi
python=$folder/bin/python
pip=("$python" -m pip --disable-pip-version-check)
pinned() { grep -iE "^(${1//[[:space:]]/|})==" "$requirements"; }

# Compile mmcv against the torch that it will run with, in a folder that an interrupted build keeps.
build_compiled() {
    local first mmcv source
    mapfile -t first < <(pinned 'torch torchvision numpy setuptools wheel ninja')
    "${pip[@]}" install --quiet "${first[@]}"
    mmcv=$(pinned mmcv)
    if ! "$python" -c "import mmcv, mmcv.ops; assert 'mmcv==' + mmcv.__version__ == '$mmcv'" \
        2>/dev/null; then
        echo "== $folder: $mmcv, compiled (this takes long)"
        source=$folder/source/${mmcv/==/-}
        if [ ! -f "$source/setup.py" ]; then
            "${pip[@]}" download --quiet --no-cache-dir --no-deps --no-binary mmcv \
                --no-build-isolation --dest "$folder/source" "$mmcv"
            mkdir -p "$folder/source/unpacked"
            tar --extract --gzip --directory "$folder/source/unpacked" --file "$source.tar.gz"
            mv "$folder/source/unpacked/${mmcv/==/-}" "$source"
        fi
        MMCV_WITH_OPS=1 FORCE_CUDA=0 MAX_JOBS=${MAX_JOBS:-$(nproc)} \
            "${pip[@]}" install --no-cache-dir --no-build-isolation --no-deps "$source"
        rm -rf "$folder/source"
    fi
    echo "== $folder: everything else"
    "${pip[@]}" install --quiet --no-deps --requirement "$requirements"
}

# What MMagic's models, data sets, metrics and tools import, beside PyTorch's own requirements.
# torchvision 0.16 runs beside any PyTorch if its compiled operators are not needed.
IMPORTED='addict albumentations certifi charset-normalizer click cloudpickle contourpy
controlnet_aux cycler diffusers einops fonttools huggingface-hub idna ImageIO importlib_metadata
iniconfig joblib kiwisolver lazy-loader lpips markdown-it-py matplotlib mdurl mmagic mmengine narwhals
numpy opencv-python packaging pandas pillow platformdirs pluggy Pygments pyparsing pytest
python-dateutil pytz PyYAML qudida regex requests resize-right rich safetensors scikit-image
scikit-learn scipy setuptools termcolor threadpoolctl timm tokenizers torch-fidelity
torchvision tqdm transformers tzdata urllib3 yapf zipp'
build_light() {
    local others
    mapfile -t others < <(pinned "$IMPORTED")
    "${pip[@]}" install --quiet torch==2.13.0
    "${pip[@]}" install --quiet --no-deps mmcv-lite==2.1.0 "${others[@]}"
    cp "$here/mmcv_ext.py" "$("$python" -c 'import mmcv; print(mmcv.__path__[0])')/_ext.py"
}

echo "== $folder: packages"
if [ -n "$compiled" ]; then build_compiled; else build_light; fi

echo "== $folder: verified by importing"
"$python" -c 'import mmagic, mmcv.ops, mmagic.models; print("mmagic", mmagic.__version__)'
echo "$wanted" >"$stamp"
echo "complete: $folder"
