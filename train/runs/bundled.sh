#!/usr/bin/env bash
# Makes every bundled weight again: bash train/runs/bundled.sh DATA INIT
#   DATA  folder with xray/ ct/ ct_lesions/ ct_lesions_infnet/ xray_lesions/ xray_lungs/, each with a manifest.csv
#   INIT  ImageNet weights of mobilenetv2_100 as safetensors, or "imagenet" to fetch timm's from the Hub
# About three hours on two CPU cores. Stop and start it as you like: a training goes on from its last checkpoint.
#
# What is bundled now was not made in one go with today's code: the first stage of unet_xray had no style exchange and 450
# healthy X-rays, the first stage of the X-ray backbone had tone curves on half of its draws, and both backbones were
# cropped, and the X-ray one taught what is visible, by the U-Nets' earlier stages.
set -euo pipefail
data="manifests=$1" init="$2" work=work
# glibc returns big buffers to the system after every step; keeping them makes CPU training half as fast again.
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592

# The U-Nets. The one for CT teaches a second of its kind on the slices nobody marked; the one for X-rays goes on a second
# time around, as does the X-ray backbone: one-cycle schedules in a row, each stage from the last one's weights.
unet() { python -m train.segmenter --modality "$1" --data "$data" "${@:2}"; }
unet xray --init "$init" --out $work/first/unet_xray --epochs 10
unet xray --init $work/first/unet_xray/model.safetensors --out $work/nets/unet_xray --epochs 6 --examples 2400 --rate 7e-4
unet ct --init "$init" --out $work/first/unet_ct --epochs 10 --examples 1300 --batch 16
teacher=$work/first/unet_ct/model.safetensors
unet ct --init $teacher --teacher $teacher --out $work/nets/unet_ct --epochs 6 --examples 1300 --batch 16 --rate 5e-4

# One backbone a modality, each at its own size: the shared one was worse on the val rows of both CT sets.
backbone() { python -m train.classifier --modality "$1" --data "$data" --segmenters $work/nets "${@:2}"; }
backbone xray --init "$init" --out $work/first/xray --epochs 9 --examples 5000
backbone xray --init $work/first/xray/backbone.safetensors --out $work/backbones/xray --epochs 6 --examples 5000 --rate 5e-4
backbone ct --init "$init" --out $work/backbones/ct --epochs 10 --examples 2400

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
