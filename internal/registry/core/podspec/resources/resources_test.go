package resources_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
)

func TestResources(t *testing.T) {
	const path = "spec.containers[0].resources"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.In("resources: {limits: {cpu: 1, memory: 1Gi, ephemeral-storage: 1, example.com/gpu: 2}, requests: {cpu: 500m}}")),
		wrong("request over limit", podspectest.In("resources: {limits: {cpu: 1}, requests: {cpu: 2}}"), path+`.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`),
		wrong("negative", podspectest.In("resources: {limits: {cpu: -1}}"),
			path+`.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
			path+`.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0`),
		wrong("names", podspectest.In("resources: {requests: {pods: 1, nope: 1, 'a b': 1}}"),
			path+`.requests[a b]: Invalid value: "a b": `+podspectest.Qualified,
			path+`.requests[nope]: Invalid value: "nope": must be a standard resource type or fully qualified`,
			path+`.requests[nope]: Invalid value: "nope": must be a standard resource for containers`,
			path+`.requests[pods]: Invalid value: "pods": must be a standard resource for containers`),
		wrong("devices are not shared out", podspectest.In("resources: {limits: {example.com/gpu: 2}, requests: {example.com/gpu: 1}}"), path+`.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2`),
		wrong("devices without limit", podspectest.In("resources: {requests: {example.com/gpu: 1}}"), path+".limits: Required value: Limit must be set for non overcommitable resources"),
		wrong("half a device", podspectest.In("resources: {limits: {example.com/gpu: 500m}}"),
			path+`.limits[example.com/gpu]: Invalid value: "500m": must be an integer`,
			path+`.requests[example.com/gpu]: Invalid value: "500m": must be an integer`),
		wrong("huge pages alone", podspectest.In("resources: {limits: {hugepages-2Mi: 4Mi}}"), path+": Forbidden: HugePages require cpu or memory"),
		wrong("part of a page", podspectest.In("resources: {limits: {cpu: 1, hugepages-2Mi: 3Mi}}"),
			path+`.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
			path+`.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`),
		wrong("claims", podspectest.In("resources: {claims: [{name: ''}, {name: a}]}"),
			path+".claims[0]: Required value",
			path+`.claims[1]: Not found: "a": must be one of the names in pod.spec.resourceClaims which is empty`),
		wrong("pod level", podspectest.With("resources: {limits: {cpu: 1}, requests: {cpu: 1}}")),
		wrong("pod level names", podspectest.With("resources: {limits: {example.com/x: 1}}"),
			`spec.resources.limits[example.com/x]: Unsupported value: "example.com/x": supported values: "cpu", "hugepages-", "memory"`),
		wrong("pod level less than its containers", podspectest.In("resources: {requests: {cpu: 2}, limits: {cpu: 3}}")+"resources: {limits: {cpu: 1}, requests: {cpu: 1}}",
			`spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2`,
			`spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 1`),
		wrong("overhead", podspectest.With("overhead: {nope: 1}"),
			`spec.overhead.limits[nope]: Invalid value: "nope": must be a standard resource type or fully qualified`,
			`spec.overhead.limits[nope]: Invalid value: "nope": must be a standard resource for containers`),
	)
}

func TestClaims(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("claims", podspectest.With("resourceClaims: [{}, {name: a, resourceClaimName: x, resourceClaimTemplateName: z}]"),
			"spec.resourceClaims[0].name: Required value",
			"spec.resourceClaims[0]: Invalid value: {\"name\":\"\"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
			"spec.resourceClaims[1]: Invalid value: {\"name\":\"a\",\"resourceClaimName\":\"x\",\"resourceClaimTemplateName\":\"z\"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
	)
}

func TestPodLevelRequests(t *testing.T) {
	pod := podspectest.Parse[corev1.Pod](t, `
spec:
  resources: {limits: {cpu: 2, memory: 1Gi}}
  containers: [{name: a, image: i, resources: {requests: {cpu: 300m}}}, {name: b, image: i, resources: {requests: {cpu: 200m}}}]
`)
	podspec.SetPodDefaults(pod)
	requests := pod.Spec.Resources.Requests
	if cpu, memory := requests["cpu"], requests["memory"]; cpu.String() != "500m" || memory.String() != "1Gi" {
		t.Errorf("pod-level requests %v", requests)
	}
}

func TestClaimsOfContainers(t *testing.T) {
	const path = "spec.containers[0].resources.claims"
	claims := func(text string) string {
		return podspectest.In("resources: {claims: ["+text+"]}") + "resourceClaims: [{name: a, resourceClaimName: x}, {name: b, resourceClaimTemplateName: t}]"
	}
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", claims("{name: a}, {name: b, request: r}, {name: b, request: s}")),
		wrong("unknown", claims("{name: c}"), path+`[0]: Not found: "c": must be one of the names in pod.spec.resourceClaims: a, b`),
		wrong("twice", claims("{name: a}, {name: a}, {name: b, request: r}, {name: b, request: r}"), path+`[1]: Duplicate value: "a"`, path+`[3]: Duplicate value: "b/r"`),
		wrong("a part of what is whole", claims("{name: a}, {name: a, request: r}"), path+`[1]: Duplicate value: "a/r"`),
		wrong("requests", claims("{name: a, request: R}"), path+`[0].request: Invalid value: "R": `+podspectest.Label),
		wrong("of the pod", podspectest.With("resourceClaims: [{name: A, resourceClaimName: X}, {name: a, resourceClaimTemplateName: T}, {name: a, resourceClaimName: x}]"),
			`spec.resourceClaims[0].name: Invalid value: "A": `+podspectest.Label,
			`spec.resourceClaims[0].resourceClaimName: Invalid value: "X": `+podspectest.Domain,
			`spec.resourceClaims[1].resourceClaimTemplateName: Invalid value: "T": `+podspectest.Domain,
			`spec.resourceClaims[2].name: Duplicate value: "a"`),
		wrong("for the whole pod", podspectest.With("resources: {limits: {cpu: 1}, claims: [{name: a}]}\nresourceClaims: [{name: a, resourceClaimName: x}]"),
			"spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level"),
	)
}

func TestNamesOfResources(t *testing.T) {
	const path = "spec.containers[0].resources.limits"
	limits := func(name string) string {
		return podspectest.In("resources: {limits: {cpu: 1, " + name + ": 1}, requests: {cpu: 1}}")
	}
	const names = "spec.containers[0].resources.requests"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("a device", limits("example.com/a")),
		wrong("Kubernetes' own domain", limits("kubernetes.io/a")),
		wrong("what quotas are called", limits("requests.example.com/a"),
			path+`[requests.example.com/a]: Invalid value: "requests.example.com/a": doesn't follow extended resource name standard`,
			names+`[requests.example.com/a]: Invalid value: "requests.example.com/a": doesn't follow extended resource name standard`),
		wrong("of quotas", limits("limits.cpu"),
			path+`[limits.cpu]: Invalid value: "limits.cpu": must be a standard resource for containers`,
			names+`[limits.cpu]: Invalid value: "limits.cpu": must be a standard resource for containers`),
		wrong("pages of no size", limits("hugepages-x"),
			path+`[hugepages-x]: Invalid value: "1": 1 is not positive integer multiple of hugepages-x`,
			names+`[hugepages-x]: Invalid value: "1": 1 is not positive integer multiple of hugepages-x`),
		wrong("pages of nothing", limits("hugepages-0"),
			path+`[hugepages-0]: Invalid value: "1": 1 is not positive integer multiple of hugepages-0`,
			names+`[hugepages-0]: Invalid value: "1": 1 is not positive integer multiple of hugepages-0`),
	)
}

func TestQOSClass(t *testing.T) {
	for text, want := range map[string]corev1.PodQOSClass{
		"containers: [{name: main, image: i}]":                                                                                            corev1.PodQOSBestEffort,
		"containers: [{name: a, image: i, resources: {limits: {cpu: 1, memory: 1}}}]":                                                     corev1.PodQOSGuaranteed,
		"containers: [{name: a, image: i, resources: {limits: {cpu: 1, memory: 1}, requests: {cpu: 500m}}}]":                              corev1.PodQOSBurstable,
		"containers: [{name: a, image: i, resources: {limits: {cpu: 1}}}]":                                                                corev1.PodQOSBurstable,
		"containers: [{name: a, image: i, resources: {requests: {memory: 1}}}]":                                                           corev1.PodQOSBurstable,
		"containers: [{name: a, image: i, resources: {requests: {cpu: 0}}}]":                                                              corev1.PodQOSBestEffort,
		"containers: [{name: a, image: i, resources: {limits: {example.com/x: 1}}}]":                                                      corev1.PodQOSBestEffort,
		"containers: [{name: a, image: i, resources: {limits: {cpu: 1, memory: 1}}}, {name: b, image: i}]":                                corev1.PodQOSBurstable,
		"containers: [{name: a, image: i}]\ninitContainers: [{name: b, image: i, resources: {limits: {cpu: 1, memory: 1}}}]":              corev1.PodQOSBurstable,
		"resources: {limits: {cpu: 1, memory: 1}, requests: {cpu: 1, memory: 1}}\ncontainers: [{name: a, image: i}, {name: b, image: i}]": corev1.PodQOSGuaranteed,
	} {
		p := &corev1.Pod{Spec: *podspectest.Parse[corev1.PodSpec](t, text)}
		podspec.SetPodDefaults(p)
		if got := resources.QOSClass(&p.Spec); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
