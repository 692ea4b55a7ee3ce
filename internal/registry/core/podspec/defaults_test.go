package podspec_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestSetPodDefaults(t *testing.T) {
	pod := podspectest.Parse[corev1.Pod](t, `
spec:
  serviceAccount: old-name
  containers:
  - name: a
    image: nginx
    ports: [{containerPort: 80}]
    env:
    - {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    resources:
      limits: {cpu: 100.0001m, memory: 1Gi}
      requests: {cpu: 50m}
    livenessProbe: {httpGet: {port: 80}}
    readinessProbe: {grpc: {port: 9}, periodSeconds: 3}
    lifecycle: {preStop: {httpGet: {port: 80}}}
  initContainers:
  - name: i
    image: nginx:1.2
    resources: {limits: {cpu: 1}}
  volumes:
  - name: nothing
  - {name: s, secret: {secretName: s}}
  - {name: c, configMap: {name: c, defaultMode: 0}}
  - {name: d, downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.name}}]}}
  - name: p
    projected:
      sources:
      - serviceAccountToken: {path: t}
      - downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.uid}}]}
      - podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k}
  - {name: h, hostPath: {path: /}}
`)
	want := podspectest.Parse[corev1.Pod](t, `
spec:
  serviceAccount: old-name
  serviceAccountName: old-name
  dnsPolicy: ClusterFirst
  restartPolicy: Always
  securityContext: {}
  terminationGracePeriodSeconds: 30
  schedulerName: default-scheduler
  enableServiceLinks: true
  containers:
  - name: a
    image: nginx
    imagePullPolicy: Always
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
    ports: [{containerPort: 80, protocol: TCP}]
    env:
    - {name: N, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}
    resources:
      limits: {cpu: 101m, memory: 1Gi}
      requests: {cpu: 50m, memory: 1Gi}
    livenessProbe: {httpGet: {port: 80, path: /, scheme: HTTP}, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3}
    readinessProbe: {grpc: {port: 9, service: ""}, timeoutSeconds: 1, periodSeconds: 3, successThreshold: 1, failureThreshold: 3}
    lifecycle: {preStop: {httpGet: {port: 80, path: /, scheme: HTTP}}}
  initContainers:
  - name: i
    image: nginx:1.2
    imagePullPolicy: IfNotPresent
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
    resources: {limits: {cpu: 1}, requests: {cpu: 1}}
  volumes:
  - {name: nothing, emptyDir: {}}
  - {name: s, secret: {secretName: s, defaultMode: 420}}
  - {name: c, configMap: {name: c, defaultMode: 0}}
  - {name: d, downwardAPI: {defaultMode: 420, items: [{path: p, fieldRef: {apiVersion: v1, fieldPath: metadata.name}}]}}
  - name: p
    projected:
      defaultMode: 420
      sources:
      - serviceAccountToken: {path: t, expirationSeconds: 3600}
      - downwardAPI: {items: [{path: p, fieldRef: {apiVersion: v1, fieldPath: metadata.uid}}]}
      - podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, maxExpirationSeconds: 86400}
  - {name: h, hostPath: {path: /, type: ""}}
`)
	podspec.SetPodDefaults(pod)
	if !apiequality.Semantic.DeepEqual(pod, want) {
		t.Error(diff.Diff(want, pod))
	}
	again := pod.DeepCopy()
	podspec.SetPodDefaults(again)
	if !apiequality.Semantic.DeepEqual(pod, again) {
		t.Error("defaults change on the second run", diff.Diff(pod, again))
	}
}

func TestTemplatesDoNotGetPodDefaults(t *testing.T) {
	spec := podspectest.Parse[corev1.PodSpec](t, `
hostNetwork: true
containers: [{name: a, image: i, ports: [{containerPort: 80}], resources: {limits: {cpu: 1}}}]
`)
	podspec.SetDefaults(spec)
	c := spec.Containers[0]
	if spec.EnableServiceLinks != nil || c.Resources.Requests != nil || c.Ports[0].HostPort != 0 {
		t.Errorf("a template got defaults of pods: %+v", spec)
	}
}

func TestHostNetworkPorts(t *testing.T) {
	pod := podspectest.Parse[corev1.Pod](t, `
spec:
  hostNetwork: true
  containers: [{name: a, image: i, ports: [{containerPort: 80}, {containerPort: 81, hostPort: 82}]}]
`)
	podspec.SetPodDefaults(pod)
	if ports := pod.Spec.Containers[0].Ports; ports[0].HostPort != 80 || ports[1].HostPort != 82 {
		t.Errorf("host ports %v", ports)
	}
}

func TestAbsurdQuantities(t *testing.T) {
	const huge = "'1e100000000'"
	pod := podspectest.Parse[corev1.Pod](t, `
spec:
  overhead: {cpu: `+huge+`}
  resources: {limits: {cpu: `+huge+`}}
  containers:
  - {name: a, image: i, resources: {limits: {cpu: `+huge+`}}, env: [{name: E, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: `+huge+`}}}]}
  volumes:
  - {name: e, emptyDir: {sizeLimit: `+huge+`}}
  - {name: d, downwardAPI: {items: [{path: p, resourceFieldRef: {containerName: a, resource: limits.cpu, divisor: `+huge+`}}]}}
`)
	podspec.SetPodDefaults(pod)
	const most = "9223372036854775807"
	cpu := pod.Spec.Containers[0].Resources.Requests["cpu"]
	if limit := pod.Spec.Volumes[0].EmptyDir.SizeLimit; cpu.String() != most || limit.String() != most {
		t.Errorf("request %s, size limit %s", cpu.String(), limit.String())
	}
	errs := podspec.ValidateSpec(&pod.Spec, field.NewPath("spec"), podspec.Options{Pod: true})
	for _, err := range errs {
		if !strings.Contains(err.Error(), "divisor") {
			t.Error(err)
		}
	}
}
