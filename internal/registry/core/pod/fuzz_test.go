package pod

import (
	"encoding/json"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/quantity"
)

// FuzzValidatePod sends JSON the way of a request: decoded, defaulted, checked,
// printed. Nothing may panic, checking must not change the pod, defaults must be
// stable, and a pod that is accepted must be accepted as an update of itself.
func FuzzValidatePod(f *testing.F) {
	for _, text := range []string{
		"{}",
		`spec: {containers: [{name: a, image: i, resources: {limits: {cpu: "1e99"}}}], overhead: {cpu: "1e99"}}`,
		"spec: {" + oneContainer + "}",
		`spec:
  serviceAccountName: sa
  containers:
  - name: a
    image: i
    env: [{name: E, valueFrom: {fieldRef: {fieldPath: "metadata.labels['a']"}}}, {name: R, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}]
    envFrom: [{prefix: P, secretRef: {name: s}}]
    ports: [{containerPort: 80, hostPort: 80, name: web}]
    resources: {limits: {cpu: 100m, memory: 1Gi, hugepages-2Mi: 2Mi, example.com/gpu: 1}}
    livenessProbe: {httpGet: {port: web}}
    lifecycle: {preStop: {sleep: {seconds: 1}}}
    volumeMounts: [{name: p, mountPath: /p, subPath: a}]
    securityContext: {runAsUser: 1, capabilities: {add: [CAP_SYS_ADMIN]}, seccompProfile: {type: Localhost, localhostProfile: x}}
  initContainers: [{name: i, image: i, restartPolicy: Always}]
  volumes:
  - name: p
    projected: {sources: [{serviceAccountToken: {path: t}}, {secret: {name: s, items: [{key: k, path: a/b}]}}, {downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}, {clusterTrustBundle: {signerName: a.b/c, path: b}}, {podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k}}]}
  - {name: h, hostPath: {path: /}}
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}}}
  tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]
  dnsConfig: {nameservers: [1.1.1.1], searches: [a.b]}
  hostAliases: [{ip: 1.1.1.1, hostnames: [a]}]
  resources: {limits: {cpu: 1}}
  overhead: {cpu: 1}
status:
  containerStatuses: [{name: a, restartCount: 3, state: {terminated: {exitCode: 1}}, lastState: {terminated: {exitCode: 1}}}]
`,
		`spec: {containers: [{name: a, image: i, resources: {limits: {hugepages-0: 1, hugepages-: 1, hugepages--1: 1, "hugepages-1m": 1}}}]}`,
		`spec: {containers: null, volumes: [{}], schedulingGates: [{}], resourceClaims: [{}], hostUsers: false}`,
	} {
		seed, err := yaml.ToJSON([]byte(text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	kinds := runtime.NewScheme()
	if err := corev1.AddToScheme(kinds); err != nil {
		f.Fatal(err)
	}
	guard := quantity.NewGuard(kinds)
	f.Fuzz(func(t *testing.T, text []byte) {
		p := &corev1.Pod{}
		if guard.Check("application/json", "pods", text) != nil {
			return
		}
		if json.Unmarshal(text, p) != nil {
			return
		}
		status := p.Status
		podspec.SetPodDefaults(p)
		again := p.DeepCopy()
		if podspec.SetPodDefaults(again); !apiequality.Semantic.DeepEqual(p, again) {
			t.Error("defaults are not stable")
		}
		prepareCreate(t.Context(), p)
		before := p.DeepCopy()
		errs := validateCreate(p)
		warnCreate(p)
		if !reflect.DeepEqual(p, before) {
			t.Error("checking changed the pod")
		}
		p.Status = status
		if cells := row(p); len(cells) != len(columns().Columns) {
			t.Errorf("%d cells", len(cells))
		}
		rowConditions(p)
		selectableFields(p)
		validateStatus(p, before)
		if len(errs) > 0 {
			_ = errs.ToAggregate().Error()
			return
		}
		if errs := validateUpdate(before.DeepCopy(), before); len(errs) > 0 {
			t.Errorf("accepted, but not as an update of itself: %v", errs)
		}
		changed := before.DeepCopy()
		changed.Spec.Hostname = "changed"
		prepareUpdate(t.Context(), changed, before)
		validateUpdate(changed, before)
	})
}
