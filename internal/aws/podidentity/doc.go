// Package podidentity decides what pods are given so that they can assume an IAM role by
// their service account, as the Amazon EKS Pod Identity Webhook does: environment, token
// volume, mounts and label. It is pure: a pod, what is known of its service account and
// settings make a patch.
//
// Settings are the webhook's; Entry is what annotations or the ConfigMap say of a service
// account; Decide makes an Injection of them, which Patch words as the webhook's JSON Patch
// and Apply does to a pod at hand. Report says in words what a pod has become. Names, values,
// orders and oddities are those of github.com/aws/amazon-eks-pod-identity-webhook.
//
// LocalSTS is beside that, for pods that ask for it: what leads clients to the STS of this
// system whatever they know. Patch never words it.
//
// Reading service accounts, the ConfigMap and files is the callers':
// internal/admission/podidentity inside the API server, internal/aws/podidentity/webhook for
// other clusters.
package podidentity
