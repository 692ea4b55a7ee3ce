#!/bin/sh
# Writes another saying to /var/htdocs/index.html every $INTERVAL seconds.
trap 'exit 0' INT TERM
interval=${INTERVAL:-${1:-10}}
# Not quoted: a value that comes from a file ends with a newline.
echo Configured to generate new fortune every $interval seconds
mkdir -p /var/htdocs
while true; do
  echo "$(date) Writing fortune to /var/htdocs/index.html"
  /usr/games/fortune >/var/htdocs/.index.html && mv /var/htdocs/.index.html /var/htdocs/index.html
  sleep $interval &
  wait $!
done
