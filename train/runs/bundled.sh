#!/usr/bin/env bash
# Makes MobileNetV2 and both U-Nets again: bash train/runs/bundled.sh DATA INIT
#   DATA  folder with xray/ ct/ ct_lesions/ ct_lesions_infnet/ xray_lesions/ xray_lungs/, each with a manifest.csv
#   INIT  ImageNet weights of mobilenetv2_100 as safetensors, or "imagenet" to fetch timm's from the Hub
# About fourteen hours on two CPU cores. Stop and start it as you like: a training goes on from its last checkpoint, and what is
# finished is not begun again.
#
# What is bundled now was not made in one go with today's code. The first stage of unet_xray had no style exchange and 450
# healthy X-rays, its second exchanged seven pictures in ten; the first two stages of the X-ray backbone had no style exchange,
# the first of them tone curves on half of its draws, and the next two took styles from any picture; only the last two saw web
# images and lesions that changed hands, the first of the two as the fourth stage of unet_xray marked them, the second as the
# fifth did, not the weights between. Only the last three stages of the X-ray backbone, the last of the CT one and of the X-ray
# U-Net and the last four of the CT U-Net kept the mean of the weights. The first stage of the CT backbone and the first three of
# the X-ray one were cropped, and the latter taught what is visible, by earlier stages of the U-Nets; the last stage of the CT
# backbone by ct_net4, its second look still left to right. Before ct_net5 Inf-Net's slices were drawn a fifth as often;
# ct_net7 was stopped after six epochs, and what it drew from then on was what it had drawn from its first. The
# X-ray backbone and its heads learned from nine X-rays that `overlap.COPIED` has removed since, one of them a copy of an image
# in the external set. In its config "clear" was added later, by `heads.bounds` from features computed anew; "firm" is that of
# the first draw of styles (anew it came out at 0.80 and 0.89). The heads for X-rays learned from one look and were calibrated
# again for two, and those for CT from what ct_net4 marked and were calibrated again for today's, by `train.heads --keep`; so
# were those of ResNet50 and InceptionResNetV2.
set -euo pipefail
data="manifests=$1" init="$2" work=work
processes="${PROCESSES:-2}"  # of the last X-ray round, which share batches of 32: two CPU cores; 1 for one GPU
mkdir -p $work
[[ -e $work/begun ]] || echo "$data $init" > $work/begun
[[ "$(< $work/begun)" == "$data $init" ]] || {
  echo "error: $work was begun with $(< $work/begun). Delete that folder to begin anew." >&2
  exit 1
}
# glibc returns big buffers to the system after every step; keeping them makes CPU training half as fast again.
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592

# One-cycle schedules in a row, each round from the last one's weights. The CT U-Net teaches the next of its kind on the
# slices nobody marked.
unet() {
  [[ -e "$work/$3/model.safetensors" ]] ||
    python -m train.segmenter --modality "$1" --data "$data" --init "$2" --out "$work/$3" "${@:4}"
}
unet xray "$init" xray_net1 --epochs 10
unet xray $work/xray_net1/model.safetensors xray_net2 --epochs 6 --examples 2400 --rate 7e-4
unet xray $work/xray_net2/model.safetensors xray_net3 --epochs 9 --examples 2400 --rate 7e-4 --seed 3
unet xray $work/xray_net3/model.safetensors xray_net4 --epochs 6 --examples 2400 --rate 5e-4 --seed 5
# It marks lesions for the look of a hospital, too; lesions that change hands take that from it, and some of its Dice.
finder=$work/xray_net4/model.safetensors
unet xray $finder xray_net5 --lungs $finder --epochs 6 --examples 2800 --rate 7e-4 --seed 12
python -m train.between --before $finder --after $work/xray_net5/model.safetensors --share 0.75 \
  --out $work/nets/unet_xray/model.safetensors
small=(--size 256 --examples 1300 --batch 16)
teacher=$work/ct_net1/model.safetensors
unet ct "$init" ct_net1 "${small[@]}" --epochs 10
unet ct $teacher ct_net2 "${small[@]}" --teacher $teacher --epochs 6 --rate 5e-4
teacher=$work/ct_net2/model.safetensors
unet ct $teacher ct_net3 "${small[@]}" --teacher $teacher --epochs 8 --rate 5e-4 --seed 4
teacher=$work/ct_net3/model.safetensors
unet ct $teacher ct_net4 "${small[@]}" --teacher $teacher --epochs 9 --rate 7e-4 --seed 9
teacher=$work/ct_net4/model.safetensors
long=(--epochs 20 --examples 1300 --batch 16 --rate 1e-3 --precision bf16-mixed)
unet ct $teacher ct_net5 --size 256 --teacher $teacher "${long[@]}" --seed 22
python -m train.between --before $teacher --after $work/ct_net5/model.safetensors --share 0.75 \
  --out $work/ct_between/model.safetensors
# The last two rounds at 320 px: of the three shares of the way tried (half, three quarters, all) the farthest whose pooled lesion
# Dice on val is within a thousandth of the best, for what they learned of Inf-Net's slices no val slice shows.
teacher=$work/ct_between/model.safetensors
unet ct $teacher ct_net6 --teacher $teacher "${long[@]}" --seed 31
python -m train.between --before $teacher --after $work/ct_net6/model.safetensors --share 0.75 \
  --out $work/ct_between2/model.safetensors
teacher=$work/ct_between2/model.safetensors
unet ct $teacher ct_net7 --teacher $teacher "${long[@]}" --epochs 22 --seed 41
mkdir -p $work/nets/unet_ct
cp $work/ct_net7/model.safetensors $work/nets/unet_ct/

# One backbone a modality, each at its own size: the shared one was worse on the val rows of both CT sets.
backbone() {
  [[ -e "$work/$3/backbone.safetensors" ]] ||
    python -m train.classifier --modality "$1" --data "$data" --segmenters $work/nets --init "$2" --out "$work/$3" "${@:4}"
}
backbone xray "$init" xray1 --epochs 9 --size 160
backbone xray $work/xray1/backbone.safetensors xray2 --epochs 6 --rate 5e-4 --size 160
backbone xray $work/xray2/backbone.safetensors xray3 --epochs 5 --rate 5e-4 --seed 4 --size 160
backbone xray $work/xray3/backbone.safetensors xray4 --epochs 5 --rate 5e-4 --seed 5 --size 160
backbone xray $work/xray4/backbone.safetensors xray5 --epochs 11 --rate 5e-4 --seed 9
backbone xray $work/xray5/backbone.safetensors xray6 --epochs 9 --rate 7e-4 --seed 10
backbone xray $work/xray6/backbone.safetensors backbones/xray --epochs 8 --rate 7e-4 --seed 12 --batch $((32 / processes)) \
  --devices "$processes"
backbone ct "$init" ct1 --epochs 10 --examples 2400 --size 224
backbone ct $work/ct1/backbone.safetensors backbones/ct --epochs 8 --examples 2400 --rate 5e-4 --seed 9

for modality in xray ct; do
  python -m train.looks --modality $modality --data "$data" --segmenters $work/nets --backbones $work/backbones --out $work/looks
  python -m train.features --modality $modality --looks $work/looks --backbones $work/backbones --out $work/features
done
python -m train.heads --features $work/features --backbones $work/backbones --out $work/bundle/mobilenetv2
for model in unet_xray unet_ct; do
  python -m train.calibrate --model $model --data "$data" --weights $work/nets/$model/model.safetensors \
    --features $work/features --out $work/bundle/$model
  python -m train.evaluate --model $model --folder $work/bundle --data "$data"
done
python -m train.evaluate --model mobilenetv2 --folder $work/bundle --data "$data" --features $work/features
python -m train.bundle --folder $work/bundle
# What else its answers could follow, with the reader of the source that the Shortcut lab uses.
python -m train.probes --features $work/features --data "$data" --out $work/bundle/mobilenetv2
python -m train.bundle --folder $work/bundle
python -m train.scoreboard
