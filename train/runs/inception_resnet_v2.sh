#!/usr/bin/env bash
# Makes InceptionResNetV2, and the ensemble of all three networks, and bundles both: bash train/runs/inception_resnet_v2.sh DATA
#   DATA as in bundled.sh. It starts at random, with the bundled MobileNetV2 as its teacher, first on small crops and then on
# larger ones: two and a half hours on two CPU cores that compute bf16. Where there is a network, `--init imagenet` starts it with
# timm's weights; where there is a GPU, more epochs and a larger size in covid_core/registry.py (ImageNet's is 299 px) pay.
# `train.starts` measures what the teacher is worth.
set -euo pipefail
data="manifests=$1" work=work/inception_resnet_v2 model=inception_resnet_v2
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592
quick=(--model $model --modality both --data "$data" --batch 64 --precision bf16-mixed --workers 2)

python -m train.distill "${quick[@]}" --init random --out $work/96 --size 96 --epochs 4 --examples 20000 --rate 1.5e-3
python -m train.distill "${quick[@]}" --init $work/96/backbone.safetensors --out $work/backbones/both --size 128 --epochs 1 \
  --examples 14000 --rate 5e-4 --seed 1

features=$work/features three="mobilenetv2 resnet50 $model"
for modality in xray ct; do
  python -m train.looks --modality $modality --data "$data" --out $work/looks
  for name in $three; do
    own=()
    [[ $name != "$model" ]] || own=(--backbones $work/backbones)
    python -m train.features --model "$name" --modality $modality --looks $work/looks --out $features/"$name" "${own[@]}"
  done
done
mkdir -p $work/bundle
cp -r covid_core/assets/* $work/bundle/
python -m train.heads --model $model --features $features/$model --backbones $work/backbones --out $work/bundle/$model
for name in $three; do
  python -m train.evaluate --model "$name" --folder $work/bundle --data "$data" --features $features/"$name"
done
python -m train.ensemble --folder $work/bundle --features $features/{mobilenetv2,resnet50,$model}
python -m train.evaluate --model ensemble --folder $work/bundle --data "$data" --features $features/{mobilenetv2,resnet50,$model}
python -m train.bundle --folder $work/bundle
python -m train.probes --model $model --features $features/$model --data "$data" --out $work/bundle/$model
python -m train.probes --model ensemble --features $features/$model --data "$data"
python -m train.bundle --folder $work/bundle

python -m train.starts "${quick[@]}" --out $work/starts --size 96 --epochs 4 --examples 5000
python -m train.scoreboard
