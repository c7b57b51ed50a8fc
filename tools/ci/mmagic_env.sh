#!/usr/bin/env bash
# A virtual environment with MMagic 1.2 and everything it needs, as pinned in
# requirements/mmagic.txt: see usage below.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/ci/mmagic_env.sh [--check] [FOLDER]

Builds a virtual environment for Python 3.11 on Linux (x86-64) in which MMagic 1.2 runs, with the
versions pinned in requirements/mmagic.txt. Downloads about 6 GB and compiles mmcv's operators
(about 40 minutes on one CPU core; MAX_JOBS sets how many are used). mmcoordgan itself is not
installed in it.

An interrupted build goes on where it was when the command is given again. A folder that is
complete, for the requirements as they are, is left as it is.

  --check  build nothing; the exit code is 0 where the folder is complete, and 1 otherwise
  FOLDER   where it is built [$MMCOORDGAN_MMAGIC_ENV, or
           ${XDG_CACHE_HOME:-~/.cache}/mmcoordgan/mmagic-1.2]
  PYTHON   environment variable: the Python 3.11 to take [python3.11]
TEXT
}

check=
case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
--check)
    check=1
    shift
    ;;
-*)
    usage >&2
    exit 2
    ;;
esac
if [ $# -gt 1 ]; then
    usage >&2
    exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
requirements=$root/requirements/mmagic.txt
default=${MMCOORDGAN_MMAGIC_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/mmcoordgan/mmagic-1.2}
folder=${1:-$default}
stamp=$folder/requirements.sha256
wanted=$(sha256sum <"$requirements" | cut -d' ' -f1)

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
pinned() { grep -E "^($1)==" "$requirements"; }

echo "== $folder: torch"
# mmcv is compiled against the very torch it will run with, so that this comes first.
mapfile -t first < <(pinned 'torch|torchvision|numpy|setuptools|wheel|ninja')
"${pip[@]}" install --quiet "${first[@]}"

mmcv=$(pinned mmcv)
if ! "$python" -c "import mmcv, mmcv.ops; assert 'mmcv==' + mmcv.__version__ == '$mmcv'" \
    2>/dev/null; then
    echo "== $folder: $mmcv, compiled (this takes long)"
    # Compiled in a folder that stays, so that what an interrupted build has compiled is kept.
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

echo "== $folder: verified by importing"
"$python" -c 'import mmagic, mmcv.ops; print("mmagic", mmagic.__version__)'
echo "$wanted" >"$stamp"
echo "complete: $folder"
