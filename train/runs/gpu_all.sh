#!/usr/bin/env bash
# Makes every model and the scoreboard again on one GPU: bash train/runs/gpu_all.sh DATA MOBILENETV2 RESNET50
#   DATA as in bundled.sh; the others ImageNet weights as safetensors, or "imagenet" to fetch timm's from the Hub
# Meant for 25 minutes on an H100 with 16 cores; nobody has timed it yet. One round a network, from its start to its end, at the
# size at which it is used. `DRY=1` goes through every step but the copying into the package, on a CPU too, and changes nothing
# outside of its work folder, which it begins anew. Networks are trained on a handful of pictures, but those of a protocol on all
# there are, and everything there is is looked at and measured: give it a DATA of few pictures, some of every part.
set -euo pipefail
data="manifests=$1" mobilenet="$2" resnet="$3"
work=work/gpu results=train/results
# Where one half of `both` fails, the other is not left behind: jobs are groups of processes, and go as such.
set -m
trap 'for job in $(jobs -p); do kill -- "-$job" 2> /dev/null || true; done' EXIT
quick=(--precision bf16-mixed --workers 7)
short=()
if [[ -n "${DRY:-}" ]]; then
  work=work/dry results=work/dry/results
  rm -rf $work
  quick=(--workers 0) short=(--epochs 1 --batch 2 --examples 4)
fi
nets=$work/nets bundle=$work/bundle
python() { command python -m "train.$1" "${@:2}"; }
trains() { python "$1" --data "$data" "${@:2}" "${quick[@]}" "${short[@]}"; }
# Both modalities side by side: augmenting on the CPU, not the GPU, is what takes the time.
both() {
  "$@" xray & local xray=$!
  "$@" ct
  wait $xray
}
into_package() { [[ -n "${DRY:-}" ]] || python bundle --folder $bundle; }

unet() { trains segmenter --modality "$1" --init "$mobilenet" --out $work/unet_"$1" --epochs 25 --batch 48 --rate 2e-3; }
both unet
# The CT U-Net learns on from what it marks itself; in X-rays lesions change hands.
ct=$work/unet_ct/model.safetensors xray=$work/unet_xray/model.safetensors
trains segmenter --modality ct --init $ct --teacher $ct --out $nets/unet_ct --epochs 12 --examples 2600 --batch 48
trains segmenter --modality xray --init $xray --lungs $xray --out $work/unet_xray2 --epochs 8 --examples 2800 --batch 48
python between --before $xray --after $work/unet_xray2/model.safetensors --share 0.75 --out $nets/unet_xray/model.safetensors

backbone() {
  trains classifier --modality "$1" --segmenters $nets --init "$mobilenet" --out $work/mobilenetv2/"$1" --epochs 24 --batch 64
}
both backbone

look() { python looks --modality "$1" --data "$data" --segmenters $nets --backbones $work/mobilenetv2 --out $work/looks; }
both look

# MODEL FOLDER: features, heads, figures of a classifier whose backbones lie in FOLDER.
finish() {
  table() { python features --model "$1" --modality "$3" --looks $work/looks --backbones "$2" --out $work/features/"$1"; }
  both table "$1" "$2"
  python heads --model "$1" --features $work/features/"$1" --backbones "$2" --out $bundle/"$1"
}
figures() { python evaluate --model "$1" --folder $bundle --data "$data" --results $results "${@:2}"; }
finish mobilenetv2 $work/mobilenetv2
for net in unet_xray unet_ct; do
  python calibrate --model $net --data "$data" --weights $nets/$net/model.safetensors --features $work/features/mobilenetv2 \
    --out $bundle/$net
  figures $net
done
figures mobilenetv2 --features $work/features/mobilenetv2
into_package

# The others learn from the one before.
taught() { trains distill --modality both --segmenters $nets --batch 64 --epochs 10 --examples 10000 "$@"; }
taught --model resnet50 --init "$resnet" --out $work/resnet50/both
finish resnet50 $work/resnet50
figures resnet50 --features $work/features/resnet50
into_package
taught --model inception_resnet_v2 --init random --teacher resnet50 --out $work/inception_resnet_v2/both --rate 2e-3
finish inception_resnet_v2 $work/inception_resnet_v2
figures inception_resnet_v2 --features $work/features/inception_resnet_v2
python ensemble --folder $bundle --features $work/features/{mobilenetv2,resnet50,inception_resnet_v2}
figures ensemble --features $work/features/{mobilenetv2,resnet50,inception_resnet_v2}
into_package
# The probes ask the package.
for name in mobilenetv2 resnet50 inception_resnet_v2; do
  python probes --model $name --features $work/features/$name --data "$data" --out $bundle/$name --results $results
done
python probes --model ensemble --features $work/features/mobilenetv2 --data "$data" --results $results
into_package

protocol() {
  python protocols --protocol "$1" --data "$data" --out $work/protocols/"$1" --results $results --epochs 8 --batch 64 --size 224 \
    "${@:2}" "${quick[@]}" ${DRY:+--epochs 1 --batch 2}
}
for name in xray_random xray_grouped sars_random sars_grouped covid_ct_to_sars sars_to_covid_ct; do
  looks=()
  if [[ $name == xray_grouped ]]; then looks=(--looks $work/looks); fi
  protocol $name --init "$mobilenet" "${looks[@]}"
  protocol $name --model resnet50 --init "$resnet" --out $work/protocols/resnet50_$name "${looks[@]}"
done
# The Shortcut lab asks it beside the app's model.
cp $work/protocols/xray_grouped/fold0/plain.safetensors $bundle/mobilenetv2/
into_package
# X-rays alone teach InceptionResNetV2 to see, so that no CT is known to it.
inception=(--model inception_resnet_v2 --size 128)
trains distill "${inception[@]}" --modality xray --segmenters $nets --init random --out $work/protocols/inception_start \
  --rate 1.5e-3 --batch 64 --epochs 8 --examples 10000
for name in sars_random sars_grouped covid_ct_to_sars sars_to_covid_ct; do
  protocol $name "${inception[@]}" --init $work/protocols/inception_start/backbone.safetensors --out $work/protocols/inception_$name
done
trains lesion_folds --init "$mobilenet" --out $work/protocols/lesion_folds --results $results --epochs 12 --batch 48
trains segmenter --modality ct --kinds --init $nets/unet_ct/model.safetensors --teacher $nets/unet_ct/model.safetensors \
  --out $work/protocols/kinds --epochs 12 --examples 2600 --batch 48
python kinds --data "$data" --weights $work/protocols/kinds/model.safetensors --results $results
trains choices --init "$mobilenet" --out $work/protocols/choices --results $results --epochs 4 --examples 2600 --batch 32
trains starts --model inception_resnet_v2 --modality both --segmenters $nets --out $work/starts --results $results --size 128 \
  --batch 64 --examples 20000
python scoreboard --results $results
