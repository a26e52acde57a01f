#!/usr/bin/env bash
# Makes ResNet50 and bundles it: bash train/runs/resnet50.sh DATA INIT
#   DATA as in bundled.sh; INIT ImageNet weights of resnetv2_50 as safetensors, or "imagenet" to fetch timm's from the Hub
# Its teacher is the bundled MobileNetV2, which also takes the first look. Three hours on two CPU cores that compute bf16;
# with a GPU give more epochs and the full 224 px. Then the ensemble is to be made again, see inception_resnet_v2.sh.
set -euo pipefail
data="manifests=$1" init="$2" work=work/resnet50
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592
train() { python -m "train.$1" --model resnet50 --modality both --data "$data" --precision bf16-mixed --workers 2 "${@:2}"; }

train distill --init "$init" --out $work/160 --epochs 6 --rate 1e-3 --size 160 --examples 10000
train distill --init $work/160/backbone.safetensors --out $work/backbones/both --epochs 8 --rate 7e-4 --size 192 --examples 10000 \
  --seed 2

for modality in xray ct; do
  python -m train.looks --modality $modality --data "$data" --out $work/looks
  python -m train.features --model resnet50 --modality $modality --looks $work/looks --backbones $work/backbones --out $work/features
done
python -m train.heads --model resnet50 --features $work/features --backbones $work/backbones --out $work/bundle/resnet50
python -m train.evaluate --model resnet50 --folder $work/bundle --data "$data" --features $work/features
python -m train.bundle --folder $work/bundle
python -m train.probes --model resnet50 --features $work/features --data "$data" --out $work/bundle/resnet50
python -m train.bundle --folder $work/bundle
python -m train.scoreboard
