#!/usr/bin/env bash
# Makes InceptionResNetV2 and bundles it: bash train/runs/inception_resnet_v2.sh DATA
#   DATA as in bundled.sh. It starts at random, with the bundled ResNet50 as its teacher; where there is a network,
# `--init imagenet` starts it with timm's weights. For a GPU: on two CPU cores an epoch takes most of an hour.
set -euo pipefail
data="manifests=$1" work=work/inception_resnet_v2 model=inception_resnet_v2
train() { python -m "train.$1" --model $model --modality both --data "$data" --precision bf16-mixed --workers 4 "${@:2}"; }

train distill --teacher resnet50 --init random --out $work/taught --epochs 30 --rate 1e-3 --size 224
train distill --teacher resnet50 --init $work/taught/backbone.safetensors --out $work/backbones/both --epochs 10 --rate 3e-4 --seed 1

for modality in xray ct; do
  python -m train.features --model $model --modality $modality --data "$data" --backbones $work/backbones --out $work/features
done
mkdir -p $work/bundle
cp -r covid_core/assets/* $work/bundle/
python -m train.heads --model $model --features $work/features --backbones $work/backbones --out $work/bundle/$model
python -m train.evaluate --model $model --folder $work/bundle --features $work/features
python -m train.bundle --folder $work/bundle
python -m train.scoreboard
