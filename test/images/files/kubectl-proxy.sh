#!/bin/sh
# Serves the API without credentials on localhost:8001, with those of the pod.
account=/var/run/secrets/kubernetes.io/serviceaccount
exec kubectl proxy \
  --server="https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT" \
  --certificate-authority="$account/ca.crt" \
  --token="$(cat "$account/token")" \
  --accept-paths='^.*'
