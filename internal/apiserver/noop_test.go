package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// unchanged has an object of every kind that is stored, as somebody writes it: with
// values that the server keeps in another form, but for what is in lists that have one
// owner, as the quantities of a LimitRange and the times of taints of devices: of two
// managers that write another form, each takes the list from the other, as in Kubernetes.
var unchanged = map[string]struct {
	path, object string
	// spec is a part of the object, for patches.
	spec string
}{
	"configmaps": {"/api/v1/namespaces/default/configmaps/c", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","labels":{"a":"b"}},"data":{"k":"v"},"binaryData":{"b":"AQJ="}}`,
		`{"data":{"k":"v"},"binaryData":{"b":"AQJ="}}`},
	"secrets": {"/api/v1/namespaces/default/secrets/s", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"p":"w"},"data":{"q":"AQJ="}}`,
		`{"stringData":{"p":"w"}}`},
	"pods": {"/api/v1/namespaces/default/pods/p", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"serviceAccountName":"default","containers":[{"name":"c","image":"i:1","resources":{"limits":{"memory":"1024Ki","cpu":0.1},"requests":{"memory":"1024Ki","cpu":"0.10"}}}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"persistentvolumeclaims": {"/api/v1/namespaces/default/persistentvolumeclaims/c", `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1024Ki"}}}}`,
		`{"spec":{"resources":{"requests":{"storage":"1024Ki"}}}}`},
	"podtemplates": {"/api/v1/namespaces/default/podtemplates/t", `{"apiVersion":"v1","kind":"PodTemplate","metadata":{"name":"t","labels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}`,
		`{"template":{"metadata":{"labels":{"a":"b"}}}}`},
	"controllerrevisions": {"/apis/apps/v1/namespaces/default/controllerrevisions/r", `{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{"name":"r"},"data":{"b":1,"a":"<"},"revision":1}`,
		`{"revision":1}`},
	"daemonsets": {"/apis/apps/v1/namespaces/default/daemonsets/d", `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"d","labels":{"a":"b"}},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}}`,
		`{"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}`},
	"statefulsets": {"/apis/apps/v1/namespaces/default/statefulsets/s", `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"s","labels":{"a":"b"}},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}},"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Mi"}}}}]}}`,
		`{"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}`},
	"services": {"/api/v1/namespaces/default/services/v", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"v"},"spec":{"type":"LoadBalancer","selector":{"a":"b"},"ports":[{"port":80}]}}`,
		`{"spec":{"selector":{"a":"b"}}}`},
	"endpoints": {"/api/v1/namespaces/default/endpoints/e", `{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"10.0.0.2"},{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]}`,
		`{"subsets":[{"addresses":[{"ip":"10.0.0.2"},{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]}`},
	"events": {"/api/v1/namespaces/default/events/v", `{"apiVersion":"v1","kind":"Event","metadata":{"name":"v"},"involvedObject":{"kind":"Pod","namespace":"default","name":"p"},"reason":"R","message":"m"}`,
		`{"message":"m"}`},
	"namespaces": {"/api/v1/namespaces/n", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n","labels":{"a":"b"}}}`, `{"metadata":{"labels":{"a":"b"}}}`},
	"nodes": {"/api/v1/nodes/n", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"taints":[{"key":"k","effect":"NoSchedule"}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"serviceaccounts": {"/api/v1/namespaces/default/serviceaccounts/s", `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"s"},"imagePullSecrets":[{"name":"x"}]}`,
		`{"imagePullSecrets":[{"name":"x"}]}`},
	"leases": {"/apis/coordination.k8s.io/v1/namespaces/default/leases/l", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l"},"spec":{"holderIdentity":"h","renewTime":"2026-01-01T01:00:00.000000+01:00"}}`,
		`{"spec":{"holderIdentity":"h"}}`},
	"roles": {"/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/r", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}`,
		`{"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}`},
	"rolebindings": {"/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/r", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"r"},"roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"u"}]}`,
		`{"subjects":[{"kind":"User","name":"u"}]}`},
	"clusterroles": {"/apis/rbac.authorization.k8s.io/v1/clusterroles/r", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"r"},"rules":[{"verbs":["get"],"nonResourceURLs":["/x"]}]}`,
		`{"rules":[{"verbs":["get"],"nonResourceURLs":["/x"]}]}`},
	"clusterrolebindings": {"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/r", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"r"},"roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[{"kind":"User","name":"u"}]}`,
		`{"subjects":[{"kind":"User","name":"u"}]}`},
	"endpointslices": {"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/e", `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"e"},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.2"]}],"ports":[{"port":80}]}`,
		`{"endpoints":[{"addresses":["10.0.0.2"]}],"ports":[{"port":80}]}`},
	"ipaddresses": {"/apis/networking.k8s.io/v1/ipaddresses/192.0.2.1", `{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{"name":"192.0.2.1"},"spec":{"parentRef":{"group":"x.example","resource":"things","name":"t"}}}`,
		`{"spec":{"parentRef":{"group":"x.example","resource":"things","name":"t"}}}`},
	"servicecidrs": {"/apis/networking.k8s.io/v1/servicecidrs/c", `{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"c"},"spec":{"cidrs":["192.0.2.0/24"]}}`,
		`{"spec":{"cidrs":["192.0.2.0/24"]}}`},
	"priorityclasses": {"/apis/scheduling.k8s.io/v1/priorityclasses/p", `{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"p"},"value":7}`,
		`{"value":7}`},
	"flowschemas": {"/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/f", `{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"f"},"spec":{"priorityLevelConfiguration":{"name":"catch-all"},"rules":[{"subjects":[{"kind":"User","user":{"name":"u"}}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["/x"]}]}]}}`,
		`{"spec":{"rules":[{"subjects":[{"kind":"User","user":{"name":"u"}}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["/x"]}]}]}}`},
	"prioritylevelconfigurations": {"/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/l", `{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"PriorityLevelConfiguration","metadata":{"name":"l"},"spec":{"type":"Limited","limited":{"limitResponse":{"type":"Queue","queuing":{"queues":16}}}}}`,
		`{"spec":{"limited":{"limitResponse":{"queuing":{"queues":16}}}}}`},
	"runtimeclasses": {"/apis/node.k8s.io/v1/runtimeclasses/r", `{"apiVersion":"node.k8s.io/v1","kind":"RuntimeClass","metadata":{"name":"r"},"handler":"h","overhead":{"podFixed":{"memory":"1024Ki","cpu":0.1}}}`,
		`{"handler":"h","overhead":{"podFixed":{"memory":"1024Ki","cpu":0.1}}}`},
	"csidrivers": {"/apis/storage.k8s.io/v1/csidrivers/d", `{"apiVersion":"storage.k8s.io/v1","kind":"CSIDriver","metadata":{"name":"d"},"spec":{"podInfoOnMount":true}}`,
		`{"spec":{"podInfoOnMount":true}}`},
	"csinodes": {"/apis/storage.k8s.io/v1/csinodes/n", `{"apiVersion":"storage.k8s.io/v1","kind":"CSINode","metadata":{"name":"n"},"spec":{"drivers":[{"name":"d","nodeID":"i","topologyKeys":["z"]}]}}`,
		`{"spec":{"drivers":[{"name":"d","nodeID":"i","topologyKeys":["z"]}]}}`},
	"deployments": {"/apis/apps/v1/namespaces/default/deployments/w", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"w","labels":{"a":"b"}},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1","resources":{"limits":{"memory":"1024Ki","cpu":0.1}}}]}}}}`,
		`{"spec":{"minReadySeconds":0,"template":{"metadata":{"labels":{"a":"b"}}}}}`},
	"replicasets": {"/apis/apps/v1/namespaces/default/replicasets/w", `{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"w","labels":{"a":"b"}},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1","resources":{"limits":{"memory":"1024Ki","cpu":0.1}}}]}}}}`,
		`{"spec":{"minReadySeconds":0,"template":{"metadata":{"labels":{"a":"b"}}}}}`},
	"replicationcontrollers": {"/api/v1/namespaces/default/replicationcontrollers/w", `{"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"w","labels":{"a":"b"}},"spec":{"replicas":1,"selector":{"a":"b"},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1","resources":{"limits":{"memory":"1024Ki","cpu":0.1}}}]}}}}`,
		`{"spec":{"minReadySeconds":0,"template":{"metadata":{"labels":{"a":"b"}}}}}`},
	"jobs": {"/apis/batch/v1/namespaces/default/jobs/j", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j"},"spec":{"manualSelector":true,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i:1","resources":{"limits":{"memory":"1024Ki","cpu":0.1}}}]}}}}`,
		`{"spec":{"parallelism":1}}`},
	"cronjobs": {"/apis/batch/v1/namespaces/default/cronjobs/c", `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"c"},"spec":{"schedule":"@daily","timeZone":"Etc/UTC","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i:1","resources":{"limits":{"memory":"1024Ki","cpu":0.1}}}]}}}}}}`,
		`{"spec":{"suspend":false}}`},
	"poddisruptionbudgets": {"/apis/policy/v1/namespaces/default/poddisruptionbudgets/b", `{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"b"},"spec":{"minAvailable":"50%","selector":{"matchLabels":{"a":"b"}}}}`,
		`{"spec":{"minAvailable":"50%"}}`},
	"mutatingwebhookconfigurations": {"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/w", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"w"},"webhooks":[{"name":"a.b.example","clientConfig":{"url":"https://192.0.2.1/"},"rules":[{"apiGroups":["none.example"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["nothings"]}],"sideEffects":"None","admissionReviewVersions":["v1"]}]}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"validatingwebhookconfigurations": {"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/w", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"w"},"webhooks":[{"name":"a.b.example","clientConfig":{"url":"https://192.0.2.1/"},"rules":[{"apiGroups":["none.example"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["nothings"]}],"sideEffects":"None","admissionReviewVersions":["v1"]}]}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"persistentvolumes": {"/api/v1/persistentvolumes/v", `{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"v"},"spec":{"capacity":{"storage":"1024Ki"},"accessModes":["ReadWriteOnce"],"storageClassName":"c","hostPath":{"path":"/x"}}}`,
		`{"spec":{"capacity":{"storage":"1024Ki"}}}`},
	"limitranges": {"/api/v1/namespaces/default/limitranges/l", `{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[{"type":"PersistentVolumeClaim","max":{"storage":"2Mi"}}]}}`,
		`{"spec":{"limits":[{"type":"PersistentVolumeClaim","max":{"storage":"2Mi"}}]}}`},
	"resourcequotas": {"/api/v1/namespaces/default/resourcequotas/q", `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"count/nothings.none.example":"1024Ki"}}}`,
		`{"spec":{"hard":{"count/nothings.none.example":"1024Ki"}}}`},
	"horizontalpodautoscalers": {"/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"none"},"maxReplicas":2,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"AverageValue","averageValue":"100m"}}}]}}`,
		`{"spec":{"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"AverageValue","averageValue":"100m"}}}]}}`},
	"validatingadmissionpolicies": {"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/p.b.example", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"p.b.example"},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["none.example"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["nothings"]}]},"validations":[{"expression":"true"}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"validatingadmissionpolicybindings": {"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/b", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"b"},"spec":{"policyName":"p.b.example","validationActions":["Deny"]}}`,
		`{"spec":{"policyName":"p.b.example"}}`},
	"mutatingadmissionpolicies": {"/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/p.b.example", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingAdmissionPolicy","metadata":{"name":"p.b.example"},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["none.example"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["nothings"]}]},"reinvocationPolicy":"Never","mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{}"}}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"mutatingadmissionpolicybindings": {"/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/b", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingAdmissionPolicyBinding","metadata":{"name":"b"},"spec":{"policyName":"p.b.example"}}`,
		`{"spec":{"policyName":"p.b.example"}}`},
	"customresourcedefinitions": {"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.shop.example.com", `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.shop.example.com"},"spec":{"group":"shop.example.com","scope":"Namespaced","names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"certificatesigningrequests": {"/apis/certificates.k8s.io/v1/certificatesigningrequests/r", `{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"r"},"spec":{"signerName":"x.example/s","usages":["client auth"],"request":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUg4d013SUJBREFBTUNvd0JRWURLMlZ3QXlFQXRsOURiaVZvV0J4M21tSVhhN2hzT0xrUWpMeXgzK3ZjSTE3KwpsN1BJMCt1Z0FEQUZCZ01yWlhBRFFRQ0RkR0QzQ21GQnZKNWJmbzFSTHdlcFF0NnpuQ3lFSE9TWXBmMXNjWGlCCm9KZHlBc3B1VTVJSmgrUzdKZVZRVUkxdXRVMFN0M3pPVS9qa2l5TmpTVXdJCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo="}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"clustertrustbundles": {"/apis/certificates.k8s.io/v1/clustertrustbundles/b", `{"apiVersion":"certificates.k8s.io/v1","kind":"ClusterTrustBundle","metadata":{"name":"b"},"spec":{"trustBundle":"-----BEGIN CERTIFICATE-----\nMIH6MIGtoAMCAQICAQEwBQYDK2VwMAwxCjAIBgNVBAMTAWEwIBcNMjYwMTAxMDAw\nMDAwWhgPMjEyNjAxMDEwMDAwMDBaMAwxCjAIBgNVBAMTAWEwKjAFBgMrZXADIQC2\nX0NuJWhYHHeaYhdruGw4uRCMvLHf69wjXv6Xs8jT66MyMDAwDwYDVR0TAQH/BAUw\nAwEB/zAdBgNVHQ4EFgQUzXCsNxcq7ceuqbxW/bAWEA3sFQMwBQYDK2VwA0EAM1Jh\ntHnmXoj6+mE3WoudaEklOy0Xb6MPM1s4he4iAu1SIb5acT0WOjeaNXGyFsVm6CyF\nc8BJ1A1es7WJIudgAg==\n-----END CERTIFICATE-----\n"}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"podcertificaterequests": {"/apis/certificates.k8s.io/v1/namespaces/default/podcertificaterequests/r", `{"apiVersion":"certificates.k8s.io/v1","kind":"PodCertificateRequest","metadata":{"name":"r"},"spec":{"signerName":"x.example/s","podName":"p","podUID":"1","serviceAccountName":"s","serviceAccountUID":"2","nodeName":"n","nodeUID":"3","stubPKCS10Request":"MH8wMwIBADAAMCowBQYDK2VwAyEAtl9DbiVoWBx3mmIXa7hsOLkQjLyx3+vcI17+l7PI0+ugADAFBgMrZXADQQCDdGD3CmFBvJ5bfo1RLwepQt6znCyEHOSYpf1scXiBoJdyAspuU5IJh+S7JeVQUI1utU0St3zOU/jkiyNjSUwI"}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"ingressclasses": {"/apis/networking.k8s.io/v1/ingressclasses/c", `{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"c"},"spec":{"controller":"x.example/c"}}`,
		`{"spec":{"controller":"x.example/c"}}`},
	"ingresses": {"/apis/networking.k8s.io/v1/namespaces/default/ingresses/i", `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i"},"spec":{"rules":[{"http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"v","port":{"number":80}}}}]}}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"networkpolicies": {"/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/p", `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"spec":{"podSelector":{},"ingress":[{"ports":[{"port":80}]}]}}`,
		`{"spec":{"ingress":[{"ports":[{"port":80}]}]}}`},
	"deviceclasses": {"/apis/resource.k8s.io/v1/deviceclasses/c", `{"apiVersion":"resource.k8s.io/v1","kind":"DeviceClass","metadata":{"name":"c"},"spec":{"selectors":[{"cel":{"expression":"true"}}]}}`,
		`{"spec":{"selectors":[{"cel":{"expression":"true"}}]}}`},
	"devicetaintrules": {"/apis/resource.k8s.io/v1/devicetaintrules/r", `{"apiVersion":"resource.k8s.io/v1","kind":"DeviceTaintRule","metadata":{"name":"r"},"spec":{"deviceSelector":{"driver":"d.example"},"taint":{"key":"k","effect":"NoSchedule"}}}`,
		`{"spec":{"taint":{"key":"k","effect":"NoSchedule"}}}`},
	"resourceclaims": {"/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/c", `{"apiVersion":"resource.k8s.io/v1","kind":"ResourceClaim","metadata":{"name":"c"},"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c","capacity":{"requests":{"memory":"1Mi"}}}}]}}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"resourceclaimtemplates": {"/apis/resource.k8s.io/v1/namespaces/default/resourceclaimtemplates/t", `{"apiVersion":"resource.k8s.io/v1","kind":"ResourceClaimTemplate","metadata":{"name":"t"},"spec":{"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c","capacity":{"requests":{"memory":"1Mi"}}}}]}}}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"resourceslices": {"/apis/resource.k8s.io/v1/resourceslices/s", `{"apiVersion":"resource.k8s.io/v1","kind":"ResourceSlice","metadata":{"name":"s"},"spec":{"driver":"d.example","nodeName":"n","pool":{"name":"p","generation":1,"resourceSliceCount":1},"devices":[{"name":"x","attributes":{"a":{"string":"b"}},"capacity":{"memory":{"value":"1Mi"}},"taints":[{"key":"k","effect":"NoSchedule","timeAdded":"2026-01-01T00:00:00Z"}]}]}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"csistoragecapacities": {"/apis/storage.k8s.io/v1/namespaces/default/csistoragecapacities/c", `{"apiVersion":"storage.k8s.io/v1","kind":"CSIStorageCapacity","metadata":{"name":"c"},"storageClassName":"c","capacity":"1024Ki"}`,
		`{"capacity":"1024Ki"}`},
	"storageclasses": {"/apis/storage.k8s.io/v1/storageclasses/c", `{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"c"},"provisioner":"x.example/p","parameters":{"a":"b"}}`,
		`{"parameters":{"a":"b"}}`},
	"volumeattachments": {"/apis/storage.k8s.io/v1/volumeattachments/a", `{"apiVersion":"storage.k8s.io/v1","kind":"VolumeAttachment","metadata":{"name":"a"},"spec":{"attacher":"x.example","nodeName":"n","source":{"persistentVolumeName":"v"}}}`,
		`{"spec":{"nodeName":"n"}}`},
	"volumeattributesclasses": {"/apis/storage.k8s.io/v1/volumeattributesclasses/c", `{"apiVersion":"storage.k8s.io/v1","kind":"VolumeAttributesClass","metadata":{"name":"c"},"driverName":"d.example","parameters":{"a":"b"}}`,
		`{"parameters":{"a":"b"}}`},
	"storageversionmigrations": {"/apis/storagemigration.k8s.io/v1/storageversionmigrations/m", `{"apiVersion":"storagemigration.k8s.io/v1","kind":"StorageVersionMigration","metadata":{"name":"m"},"spec":{"resource":{"resource":"pods"}}}`,
		`{"spec":{"resource":{"resource":"pods"}}}`},
	"podprojections": {"/apis/projection.laterna.dev/v1alpha1/namespaces/default/podprojections/p", `{"apiVersion":"projection.laterna.dev/v1alpha1","kind":"PodProjection","metadata":{"name":"p","ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"u"}]},"spec":{"nodeName":"n"}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"authentications": {"/apis/config.openshift.io/v1/authentications/cluster", `{"apiVersion":"config.openshift.io/v1","kind":"Authentication","metadata":{"name":"cluster"},"spec":{"serviceAccountIssuer":""}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"openidconnectproviders": {"/apis/iam.laterna.dev/v1alpha1/openidconnectproviders/111122223333:issuer.example", `{"apiVersion":"iam.laterna.dev/v1alpha1","kind":"OpenIDConnectProvider","metadata":{"name":"111122223333:issuer.example"},"spec":{"clientIDs":["a"]}}`,
		`{"spec":{"clientIDs":["a"]}}`},
	"policies": {"/apis/iam.laterna.dev/v1alpha1/policies/111122223333:p", `{"apiVersion":"iam.laterna.dev/v1alpha1","kind":"Policy","metadata":{"name":"111122223333:p"},"spec":{"document":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}]}"}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
	"kubeapiservers": {"/apis/operator.openshift.io/v1/kubeapiservers/cluster", `{"apiVersion":"operator.openshift.io/v1","kind":"KubeAPIServer","metadata":{"name":"cluster"}}`,
		`{"metadata":{"labels":{"a":"b"}}}`},
}

// statuses are what a status says in each kind that has one, and an approval. An empty
// message that is not stored would be another form of none.
var statuses = map[string]string{
	"pods":                        `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`,
	"nodes":                       `{"status":{"capacity":{"memory":"1024Ki","cpu":"0.10"}}}`,
	"services":                    `{"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}}`,
	"servicecidrs":                `{"status":{"conditions":[{"type":"X","status":"True","reason":"Y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
	"namespaces":                  `{"status":{"conditions":[{"type":"X","status":"True"}]}}`,
	"jobs":                        `{"status":{"startTime":"2026-01-01T00:00:00Z","conditions":[{"type":"Suspended","status":"False"}],"ready":0}}`,
	"cronjobs":                    `{"status":{"lastScheduleTime":"2026-01-01T00:00:00Z","active":[{"kind":"Job","name":"j","namespace":"default"}]}}`,
	"poddisruptionbudgets":        `{"status":{"currentHealthy":0,"desiredHealthy":0,"disruptionsAllowed":0,"expectedPods":0,"conditions":[{"type":"X","status":"True","reason":"Y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
	"podprojections":              `{"metadata":{"annotations":{"a":"b"}}}`,
	"authentications":             `{"metadata":{"annotations":{"a":"b"}}}`,
	"kubeapiservers":              `{"metadata":{"annotations":{"a":"b"}}}`,
	"deployments":                 `{"status":{"replicas":1,"conditions":[{"type":"X","status":"True"}]}}`,
	"replicasets":                 `{"status":{"replicas":1,"conditions":[{"type":"X","status":"True"}]}}`,
	"replicationcontrollers":      `{"status":{"replicas":1,"conditions":[{"type":"X","status":"True"}]}}`,
	"persistentvolumeclaims":      `{"status":{"phase":"Bound","capacity":{"storage":"1024Ki"}}}`,
	"daemonsets":                  `{"status":{"currentNumberScheduled":0,"desiredNumberScheduled":1,"numberMisscheduled":0,"numberReady":0}}`,
	"statefulsets":                `{"status":{"replicas":1}}`,
	"persistentvolumes":           `{"status":{"phase":"Bound"}}`,
	"resourcequotas":              `{"status":{"hard":{"count/nothings.none.example":"1024Ki"},"used":{"count/nothings.none.example":"0"}}}`,
	"horizontalpodautoscalers":    `{"status":{"currentReplicas":1,"desiredReplicas":1,"currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageValue":"100m"}}}],"conditions":[{"type":"X","status":"True"}]}}`,
	"validatingadmissionpolicies": `{"status":{"observedGeneration":1,"typeChecking":{"expressionWarnings":[{"fieldRef":"spec.validations[0].expression","warning":"w"}]}}}`,
	"customresourcedefinitions":   `{"status":{"storedVersions":["v1"]}}`,
	"certificatesigningrequests":  `{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Y","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z","lastUpdateTime":"2026-01-01T00:00:00Z"}]}}`,
	"podcertificaterequests":      `{"status":{"conditions":[{"type":"Denied","status":"True","reason":"Y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
	// What the server itself says: it insists on that.
	"flowschemas":                 `{"status":{"conditions":[{"type":"Dangling","status":"False","reason":"Found","message":"This FlowSchema references the PriorityLevelConfiguration object named \"catch-all\" and it exists","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
	"prioritylevelconfigurations": `{"status":{"conditions":[{"type":"X","status":"True","reason":"Y","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
	"ingresses":                   `{"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}}`,
	"devicetaintrules":            `{"status":{"conditions":[{"type":"X","status":"True","reason":"Y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
	"resourceclaims":              `{"status":{"allocation":{"devices":{"results":[{"request":"r","driver":"d.example","pool":"p","device":"x"}]}},"reservedFor":[{"resource":"pods","name":"p","uid":"1"}]}}`,
	"volumeattachments":           `{"status":{"attached":true,"attachmentMetadata":{"a":"b"}}}`,
	"storageversionmigrations":    `{"status":{"conditions":[{"type":"Succeeded","status":"True","reason":"Y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
}

// rewrite is one way to write an object.
type rewrite struct {
	name, object            string // path of the object
	method, path, mediaType string
	body                    func() string
}

// TestWritesThatChangeNothing writes each object again, in every way that the discovery
// documents offer, when the second has changed in which the others were made: times of
// managers are in seconds. Nothing is stored then.
func TestWritesThatChangeNothing(t *testing.T) {
	s := boot(t, t.TempDir())
	client := s.privileged()
	account := strings.NewReader(`{"metadata":{"name":"default"}}`)
	if code, raw := s.fetch(client, "POST", "/api/v1/namespaces/default/serviceaccounts", account, "Content-Type", "application/json"); code != http.StatusCreated {
		t.Fatalf("%d %s", code, raw)
	}
	all := s.rewrites(client)
	s.establish()
	for range 2 { // who owns what depends on who was there before
		for _, w := range all {
			s.write(client, w.method, w.path, w.mediaType, w.body())
		}
	}
	for began := time.Now(); time.Now().Unix() == began.Unix(); time.Sleep(10 * time.Millisecond) {
	}
	for _, w := range all {
		before := s.version(client, w.object)
		if after := s.write(client, w.method, w.path, w.mediaType, w.body()); after != before {
			t.Errorf("%s of %s changes nothing and writes: %s, then %s", w.name, w.path, before, after)
		}
	}
}

// establish makes the example of a definition, and waits until the server, which writes
// what it makes of a new one to its status, has: nothing that follows gives it a cause to.
func (s *system) establish() {
	s.t.Helper()
	_, err := s.defines().Create(s.t.Context(), defined(s.t), metav1.CreateOptions{})
	must(s.t, err)
	eventually(s.t, func() error {
		d, err := s.defines().Get(s.t.Context(), "widgets.shop.example.com", metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, err := unstructured.NestedSlice(d.Object, "status", "conditions")
		for _, c := range conditions {
			if c, _ := c.(map[string]any); c["type"] == "Established" && c["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("not established, but %v: %v", conditions, err)
	})
}

// rewrites lists all ways to write the examples.
func (s *system) rewrites(client *http.Client) []rewrite {
	s.t.Helper()
	_, lists, err := s.admin().Discovery().ServerGroupsAndResources()
	must(s.t, err)
	var all []rewrite
	for _, list := range lists {
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "update") && !slices.Contains(r.Verbs, "patch") {
				continue
			}
			name, sub, isSub := strings.Cut(r.Name, "/")
			if sub == "proxy" || name == "apiservices" { // writes what is behind it; cannot be written
				continue
			}
			o, ok := unchanged[name]
			part, hasPart := o.spec, true
			switch {
			case sub == "finalize":
				part = `{"metadata":{"labels":{"a":"b"}}}`
			case sub == "scale":
				part = `{"spec":{"replicas":1}}`
				o.object = `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{}}`
			case isSub:
				part, hasPart = statuses[name]
			}
			if !ok || !hasPart {
				s.t.Errorf("%s has no example", r.Name)
				continue
			}
			// All ways write the same.
			whole := strings.Replace(o.object, `"metadata":{`, `"metadata":{"annotations":{"a":"b"},`, 1)
			if !strings.Contains(whole, `"labels"`) {
				whole = strings.Replace(whole, `"metadata":{`, `"metadata":{"labels":{"a":"b"},`, 1)
			}
			all = append(all, s.waysOf(client, o.path, sub, part, whole, r.Verbs)...)
		}
	}
	return all
}

// waysOf lists the ways to write a part of an object, or of its subresource.
func (s *system) waysOf(client *http.Client, path, sub, part, object string, verbs []string) []rewrite {
	const apply = "application/apply-patch+yaml"
	always := func(body string) func() string { return func() string { return body } }
	get := func() string {
		at := path
		if sub == "scale" {
			at += "/scale" // a kind of its own
		}
		_, raw := s.fetch(client, "GET", at, nil)
		return string(raw)
	}
	written := func() string {
		return strings.Replace(object, `"metadata":{`, fmt.Sprintf(`"metadata":{"resourceVersion":%q,`, s.version(client, path)), 1)
	}
	partial := strings.Replace(part, "{", object[:strings.Index(object, `"metadata"`)]+named(path, part), 1)
	ways := []struct {
		name, verb, method, mediaType string
		body                          func() string
		whole                         bool // not for subresources
	}{
		{"apply", "patch", "PATCH", apply, always(object), true},
		{"apply-by-another", "patch", "PATCH", apply, always(object[:strings.Index(object, `"metadata"`)] + fmt.Sprintf(`"metadata":{"name":%q,"labels":{"a":"b"},"annotations":{"a":"b"}}}`, path[strings.LastIndexByte(path, '/')+1:])), true},
		{"merge-patch", "patch", "PATCH", "application/merge-patch+json", always(part), false},
		{"strategic-patch", "patch", "PATCH", "application/strategic-merge-patch+json", always(part), false},
		{"JSON-patch", "patch", "PATCH", "application/json-patch+json", always(`[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`), false},
		{"apply-of-a-part", "patch", "PATCH", apply, always(partial), false},
		{"PUT", "update", "PUT", "application/json", get, false},
		{"PUT-of-what-was-written", "update", "PUT", "application/json", written, true},
	}
	var all []rewrite
	for _, w := range ways {
		if !slices.Contains(verbs, w.verb) || sub != "" && w.whole {
			continue
		}
		// Of two managers that write a value in another form than it is stored in, each
		// takes it from the other.
		if w.name == "apply-of-a-part" && sub == "" {
			continue
		}
		// What was written lacks what a pod and a service have got since, which may not
		// be taken from them.
		if w.name == "PUT-of-what-was-written" && (strings.Contains(path, "/services/") || strings.Contains(path, "/pods/")) {
			continue
		}
		url := path
		if sub != "" {
			url += "/" + sub
		}
		url += "?fieldManager=" + w.name
		if w.mediaType == apply {
			url += "&force=true"
		}
		all = append(all, rewrite{w.name, path, w.method, url, w.mediaType, w.body})
	}
	return all
}

// named begins the metadata of a part of an object that has none.
func named(path, part string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if strings.HasPrefix(part, `{"metadata":{`) {
		return ""
	}
	return fmt.Sprintf(`"metadata":{"name":%q},`, name)
}

// write returns the resource version that a write answers with.
func (s *system) write(client *http.Client, method, path, mediaType, body string) string {
	s.t.Helper()
	code, raw := s.fetch(client, method, path, strings.NewReader(body), "Content-Type", mediaType)
	if code >= 300 {
		s.t.Errorf("%s %s %s: %d %s", method, path, mediaType, code, raw)
	}
	return versionOf(s.t, raw)
}

// version returns the resource version of an object.
func (s *system) version(client *http.Client, path string) string {
	s.t.Helper()
	_, raw := s.fetch(client, "GET", path, nil)
	return versionOf(s.t, raw)
}

func versionOf(t *testing.T, raw []byte) string {
	t.Helper()
	var obj struct {
		Metadata struct{ ResourceVersion string }
	}
	must(t, json.Unmarshal(raw, &obj))
	return obj.Metadata.ResourceVersion
}
