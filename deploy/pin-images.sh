#!/bin/sh
# Pins the images of compose.yaml and Dockerfile to what their tags mean today, by digest; needs a network and docker:
#   sh deploy/pin-images.sh >> deploy/.env
# compose.yaml reads the variables from deploy/.env. Without them the tags count, which their makers may move.
set -eu
here=$(dirname "$0")
sed -n 's/^ *image: \([^$ ]*\)\${\([A-Z_]*\):-}.*/\2 \1/p' "$here/compose.yaml" | sort -u | while read -r name image; do
	echo "$name=@$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")"
done
image=$(sed -n 's/^FROM \(python[^$ ]*\)\${PYTHON_DIGEST} AS build$/\1/p' "$here/Dockerfile")
echo "PYTHON_DIGEST=@$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")"
