#!/usr/bin/env bash
# Makes every bundled weight again: bash train/runs/bundled.sh DATA INIT
#   DATA  folder with xray/ ct/ ct_lesions/ ct_lesions_infnet/ xray_lesions/ xray_lungs/, each with a manifest.csv
#   INIT  ImageNet weights of mobilenetv2_100 as safetensors, or "imagenet" to fetch timm's from the Hub
# About three hours on two CPU cores. Stop and start it as you like: a training goes on from its last checkpoint.
set -euo pipefail
data="manifests=$1" init="$2" work=work
# glibc returns big buffers to the system after every step; keeping them makes CPU training half as fast again.
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592

# The U-Nets; the one for CT teaches a second of its kind on the slices nobody marked.
python -m train.segmenter --modality xray --data "$data" --init "$init" --out $work/nets/unet_xray --epochs 10
python -m train.segmenter --modality ct --data "$data" --init "$init" --out $work/teacher --epochs 10 \
  --examples 1300 --batch 16
teacher=$work/teacher/model.safetensors
python -m train.segmenter --modality ct --data "$data" --init $teacher --teacher $teacher --out $work/nets/unet_ct \
  --epochs 6 --examples 1300 --batch 16 --rate 5e-4

# One backbone a modality: a shared one was worse on the val rows of both (see CHANGELOG.md).
python -m train.classifier --modality xray --data "$data" --segmenters $work/nets --init "$init" \
  --out $work/backbones/xray --epochs 9 --examples 5000
python -m train.classifier --modality ct --data "$data" --segmenters $work/nets --init "$init" \
  --out $work/backbones/ct --epochs 10 --examples 2500

for modality in xray ct; do
  python -m train.features --modality $modality --data "$data" --segmenters $work/nets --backbones $work/backbones \
    --out $work/features
done
python -m train.heads --features $work/features --backbones $work/backbones --out $work/bundle/mobilenetv2
for model in unet_xray unet_ct; do
  python -m train.calibrate --model $model --data "$data" --weights $work/nets/$model/model.safetensors \
    --features $work/features --out $work/bundle/$model
  python -m train.evaluate --model $model --folder $work/bundle --data "$data"
done
python -m train.evaluate --model mobilenetv2 --folder $work/bundle --features $work/features
python -m train.bundle --folder $work/bundle
