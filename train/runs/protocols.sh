#!/usr/bin/env bash
# Trains networks for protocols and folds, measures them, and makes the scoreboard again: bash train/runs/protocols.sh DATA INIT
# RESNET
#   DATA and INIT as in bundled.sh, RESNET as INIT in resnet50.sh. About eight hours on two CPU cores.
set -euo pipefail
data="manifests=$1" init="$2" resnet="$3" work=work
processes="${PROCESSES:-2}"  # which share batches of 32: two CPU cores; 1 for one GPU
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592

for set in xray_random xray_grouped; do
  looks=()  # the lesions that bundled.sh moved between sources
  if [[ $set == xray_grouped && -e $work/looks/xray.csv ]]; then looks=(--looks $work/looks); fi
  python -m train.protocols --protocol $set --data "$data" --init "$init" --out $work/protocols/$set "${looks[@]}" \
    --epochs 5 --batch $((32 / processes)) --devices "$processes"
  python -m train.protocols --protocol $set --model resnet50 --data "$data" --init "$resnet" --size 160 --epochs 8 \
    --batch 64 --precision bf16-mixed --out $work/protocols/resnet50_$set "${looks[@]}"
done
# The Shortcut lab asks it beside the app's model; it goes into the package with those of bundled.sh.
if [[ -e $work/bundle/mobilenetv2/config.json ]]; then
  cp $work/protocols/xray_grouped/fold0/plain.safetensors $work/bundle/mobilenetv2/
  python -m train.bundle --folder $work/bundle
fi
python -m train.protocols --protocol sars_random --data "$data" --init "$init" --out $work/protocols/sars_random \
  --epochs 8 --batch $((32 / processes)) --devices "$processes" --size 224
python -m train.protocols --protocol sars_grouped --data "$data" --init "$init" --out $work/protocols/sars_grouped \
  --epochs 8 --batch 16 --size 224
# From the U-Net for X-rays, which has seen no CT: five epochs are not many.
python -m train.lesion_folds --data "$data" --init covid_core/assets/unet_xray/model.safetensors --epochs 5 \
  --size 256 --precision bf16-mixed --out $work/protocols/lesion_folds
python -m train.choices --data "$data" --init "$init" --epochs 4 --size 256 --precision bf16-mixed --workers 2 --out $work/protocols/choices
# The bundled U-Net goes on with a third channel, for consolidation.
bundled=covid_core/assets/unet_ct/model.safetensors
python -m train.segmenter --modality ct --kinds --data "$data" --init $bundled --teacher $bundled --epochs 12 --examples 1300 \
  --batch 16 --rate 7e-4 --seed 61 --precision bf16-mixed --workers 2 --out $work/protocols/kinds
python -m train.kinds --data "$data" --weights $work/protocols/kinds/model.safetensors
for set in covid_ct_to_sars sars_to_covid_ct; do
  python -m train.protocols --protocol $set --data "$data" --init "$init" --out $work/protocols/$set \
    --epochs 8 --batch 16 --size 224
done
for set in sars_random sars_grouped covid_ct_to_sars sars_to_covid_ct; do
  python -m train.protocols --protocol $set --model resnet50 --data "$data" --init "$resnet" --size 160 --epochs 12 \
    --batch 32 --precision bf16-mixed --out $work/protocols/resnet50_$set
done
# For InceptionResNetV2 there is no ImageNet start: X-rays alone, with the bundled MobileNetV2 as teacher, so that no CT is known
# to it.
inception=(--model inception_resnet_v2 --precision bf16-mixed --rate 1.5e-3)
python -m train.distill "${inception[@]}" --modality xray --data "$data" --init random --size 96 --epochs 4 --examples 10000 \
  --batch 64 --workers 2 --out $work/protocols/inception_start
for set in covid_ct_to_sars:12 sars_to_covid_ct:12 sars_random:8 sars_grouped:8; do
  python -m train.protocols --protocol "${set%:*}" "${inception[@]}" --data "$data" --epochs "${set#*:}" --batch 32 \
    --init $work/protocols/inception_start/backbone.safetensors --out "$work/protocols/inception_${set%:*}"
done
# What others marked on Inf-Net's slices, where their maps lie beside these.
if [[ -d $1/ct_lesions_infnet/published_predictions ]]; then python -m train.published --data "$data"; fi
python -m train.scoreboard
