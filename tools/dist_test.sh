#!/usr/bin/env bash
# Test on several GPUs (or, on a machine without any, on several CPU processes).
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# On several machines, run it on each of them with
#   NNODES (1), NODE_RANK (0), MASTER_ADDR (127.0.0.1) and PORT (29500) in the environment.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "${BASH_SOURCE[0]}")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
