package devices

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func wall() clock.Wall { return clock.WallOf(clocktesting.NewFakeClock(noon)) }

// refused checks what is said of an object: nothing for "".
func refused(t *testing.T, name string, errs field.ErrorList, want string) {
	t.Helper()
	if got := fmt.Sprint(errs.ToAggregate()); (want == "") != (len(errs) == 0) || !strings.Contains(got, want) {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
}

// asking is a claim of one request, changed.
func asking(change func(*resourcev1.DeviceClaim, *resourcev1.ExactDeviceRequest)) *claim {
	exact := &resourcev1.ExactDeviceRequest{DeviceClassName: "class"}
	c := &claim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{Name: "r", Exactly: exact}}}}}
	if change != nil {
		change(&c.Spec.Devices, exact)
	}
	defaultClaim(&c.Spec.Devices)
	return c
}

func TestClaimsThatAreRefused(t *testing.T) {
	type (
		all = resourcev1.DeviceClaim
		one = resourcev1.ExactDeviceRequest
	)
	opaque := func(raw string) resourcev1.DeviceConfiguration {
		return resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "d.example.com", Parameters: runtime.RawExtension{Raw: []byte(raw)}}}
	}
	for name, tc := range map[string]struct {
		change func(*all, *one)
		want   string
	}{
		"good":        {nil, ""},
		"no class":    {func(_ *all, r *one) { r.DeviceClassName = "" }, "spec.devices.requests[0].exactly.deviceClassName: Required value"},
		"odd name":    {func(c *all, _ *one) { c.Requests[0].Name = "A" }, "spec.devices.requests[0].name: Invalid value"},
		"nothing":     {func(c *all, _ *one) { c.Requests[0].Exactly = nil }, "exactly one of `exactly` or `firstAvailable` is required"},
		"both":        {func(c *all, _ *one) { c.Requests[0].FirstAvailable = make([]resourcev1.DeviceSubRequest, 1) }, "but multiple fields are set"},
		"twice":       {func(c *all, _ *one) { c.Requests = append(c.Requests, c.Requests[0]) }, `spec.devices.requests[1]: Duplicate value: "r"`},
		"many":        {func(c *all, _ *one) { c.Requests = make([]resourcev1.DeviceRequest, 33) }, "spec.devices.requests: Too many: 33: must have at most 32 items"},
		"all of some": {func(_ *all, r *one) { r.AllocationMode, r.Count = resourcev1.DeviceAllocationModeAll, 1 }, "count: Invalid value: 1: must not be specified when allocationMode is 'All'"},
		"none":        {func(_ *all, r *one) { r.Count = -1 }, "count: Invalid value: -1: must be greater than zero"},
		"mode":        {func(_ *all, r *one) { r.AllocationMode = "x" }, `allocationMode: Unsupported value: "x": supported values: "All", "ExactCount"`},
		"selector":    {func(_ *all, r *one) { r.Selectors = make([]resourcev1.DeviceSelector, 1) }, "selectors[0].cel: Required value"},
		"long selector": {func(_ *all, r *one) {
			r.Selectors = []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: strings.Repeat("a", 10241)}}}
		}, "selectors[0].cel.expression: Too long"},
		"toleration": {func(_ *all, r *one) {
			r.Tolerations = []resourcev1.DeviceToleration{{Operator: "Exists", Value: "a", Effect: "x"}}
		}, "must be empty for operator `Exists`"},
		"operator":   {func(_ *all, r *one) { r.Tolerations = []resourcev1.DeviceToleration{{Operator: "In"}} }, `operator: Unsupported value: "In": supported values: "Equal", "Exists"`},
		"constraint": {func(c *all, _ *one) { c.Constraints = make([]resourcev1.DeviceConstraint, 1) }, `spec.devices.constraints[0]: Required value: exactly one of "matchAttribute" or "distinctAttribute"`},
		"attribute": {func(c *all, _ *one) {
			c.Constraints = []resourcev1.DeviceConstraint{{MatchAttribute: new(resourcev1.FullyQualifiedName("a"))}}
		}, "a fully qualified name must be a domain and a name separated by a slash"},
		"reference": {func(c *all, _ *one) {
			c.Constraints = []resourcev1.DeviceConstraint{{Requests: []string{"x"}, MatchAttribute: new(resourcev1.FullyQualifiedName("a.b/c"))}}
		}, `requests[0]: Invalid value: "x": must be the name of a request in the claim`},
		"configuration": {func(c *all, _ *one) { c.Config = make([]resourcev1.DeviceClaimConfiguration, 1) }, "spec.devices.config[0].opaque: Required value"},
		"parameters": {func(c *all, _ *one) {
			c.Config = []resourcev1.DeviceClaimConfiguration{{DeviceConfiguration: opaque("[1]")}}
		}, "must be a valid JSON object"},
		"no parameters": {func(c *all, _ *one) {
			c.Config = []resourcev1.DeviceClaimConfiguration{{DeviceConfiguration: opaque("null")}}
		}, "parameters: Required value"},
		"odd parameters": {func(c *all, _ *one) {
			c.Config = []resourcev1.DeviceClaimConfiguration{{DeviceConfiguration: opaque("{")}}
		}, "error parsing data as JSON"},
		"first": {func(c *all, _ *one) {
			c.Requests[0] = resourcev1.DeviceRequest{Name: "r", FirstAvailable: []resourcev1.DeviceSubRequest{{Name: "s", DeviceClassName: "class"}, {Name: "s"}}}
			c.Constraints = []resourcev1.DeviceConstraint{{Requests: []string{"r", "r/s"}, DistinctAttribute: new(resourcev1.FullyQualifiedName("a.b/c"))}}
		}, "[spec.devices.requests[0].firstAvailable[1].deviceClassName: Required value, spec.devices.requests[0].firstAvailable[1]: Duplicate value: \"s\"]"},
	} {
		refused(t, name, Claims().Rules.Validate(t.Context(), asking(tc.change)), tc.want)
	}
	if r := asking(nil).Spec.Devices.Requests[0].Exactly; r.AllocationMode != "ExactCount" || r.Count != 1 {
		t.Errorf("defaults %+v", r)
	}
	other := asking(func(_ *all, r *one) { r.Count = 2 })
	refused(t, "another", Claims().Rules.ValidateUpdate(t.Context(), other, asking(nil)), "field is immutable")
}

// given is a claim that has a device, changed.
func given(change func(*resourcev1.ResourceClaimStatus)) *claim {
	c := asking(nil)
	c.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{Request: "r", Driver: "d", Pool: "p", Device: "x"}}}}
	if change != nil {
		change(&c.Status)
	}
	return c
}

func TestStatusOfClaims(t *testing.T) {
	user := resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "a", UID: types.UID("1")}
	for name, tc := range map[string]struct {
		now, old *claim
		want     string
	}{
		"good": {given(func(s *resourcev1.ResourceClaimStatus) {
			s.ReservedFor = []resourcev1.ResourceClaimConsumerReference{user}
		}), asking(nil), ""},
		"reserved": {func() *claim {
			c := asking(nil)
			c.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{user}
			return c
		}(), asking(nil), "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"},
		"nobody": {given(func(s *resourcev1.ResourceClaimStatus) {
			s.ReservedFor = make([]resourcev1.ResourceClaimConsumerReference, 1)
		}), asking(nil), "status.reservedFor[0].uid: Required value"},
		"other device": {given(func(s *resourcev1.ResourceClaimStatus) { s.Allocation.Devices.Results[0].Device = "y" }), given(nil), "status.allocation: Invalid value"},
		"unknown": {given(func(s *resourcev1.ResourceClaimStatus) {
			s.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "d", Pool: "p", Device: "z"}}
		}), given(nil), "must be an allocated device in the claim"},
		"network": {given(func(s *resourcev1.ResourceClaimStatus) {
			s.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "d", Pool: "p", Device: "x", NetworkData: &resourcev1.NetworkDeviceData{IPs: []string{"10.0.0.1"}}}}
		}), given(nil), "status.devices[0].networkData.ips[0]: Invalid value"},
		"request": {given(func(s *resourcev1.ResourceClaimStatus) { s.Allocation.Devices.Results[0].Request = "x" }), asking(nil), "status.allocation.devices.results[0].request: Invalid value"},
		"source": {given(func(s *resourcev1.ResourceClaimStatus) {
			s.Allocation.Devices.Config = make([]resourcev1.DeviceAllocationConfiguration, 1)
		}), asking(nil), "status.allocation.devices.config[0].source: Required value"},
	} {
		refused(t, name, Claims().Status.ValidateUpdate(t.Context(), tc.now, tc.old), tc.want)
	}
	ends := given(func(s *resourcev1.ResourceClaimStatus) {
		s.ReservedFor = []resourcev1.ResourceClaimConsumerReference{user}
	})
	ends.DeletionTimestamp = &metav1.Time{Time: noon}
	refused(t, "added at the end", Claims().Status.ValidateUpdate(t.Context(), ends, given(nil)), "new entries may not be added while")
	for c, want := range map[*claim]string{asking(nil): "pending", given(nil): "allocated", ends: "deleted,allocated,reserved"} {
		if got := state(c); got != want {
			t.Errorf("state %s, want %s", got, want)
		}
	}
}

func TestTemplatesStayAsTheyAre(t *testing.T) {
	rules := Templates().Rules
	one, other := &template{}, &template{}
	one.Spec.Spec = asking(nil).Spec
	refused(t, "good", rules.Validate(t.Context(), one), "")
	other.Spec.Labels = map[string]string{"a": "-"}
	refused(t, "label", rules.Validate(t.Context(), other), "spec.metadata.labels: Invalid value")
	refused(t, "same", rules.ValidateUpdate(t.Context(), one, one), "")
	refused(t, "another", rules.ValidateUpdate(t.Context(), other, one), "field is immutable")
}

func TestClassesThatAreRefused(t *testing.T) {
	for name, want := range map[string]string{"example.com/gpu": "", "gpu": "must be a valid extended resource name", "kubernetes.io/gpu": "must be a valid", "requests.a/b": "must be a valid"} {
		refused(t, name, validateClass(&class{Spec: resourcev1.DeviceClassSpec{ExtendedResourceName: &name}}), want)
	}
	refused(t, "configuration", validateClass(&class{Spec: resourcev1.DeviceClassSpec{Config: make([]resourcev1.DeviceClassConfiguration, 1)}}), "spec.config[0].opaque: Required value")
}

// having is a slice of a node with a device, changed.
func having(change func(*resourcev1.ResourceSliceSpec, *resourcev1.Device)) *slice {
	s := &slice{Spec: resourcev1.ResourceSliceSpec{Driver: "d.example.com", NodeName: new("n"), Pool: resourcev1.ResourcePool{Name: "p", ResourceSliceCount: 1}, Devices: []resourcev1.Device{{Name: "x"}}}}
	if change != nil {
		change(&s.Spec, &s.Spec.Devices[0])
	}
	return s
}

func TestSlicesThatAreRefused(t *testing.T) {
	type (
		all = resourcev1.ResourceSliceSpec
		one = resourcev1.Device
	)
	attribute := func(a resourcev1.DeviceAttribute) func(*all, *one) {
		return func(_ *all, d *one) { d.Attributes = map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"a": a} }
	}
	for name, tc := range map[string]struct {
		change func(*all, *one)
		want   string
	}{
		"good":        {attribute(resourcev1.DeviceAttribute{VersionValue: new("1.2.3-alpha.1+b")}), ""},
		"driver":      {func(s *all, _ *one) { s.Driver = "" }, "spec.driver: Required value"},
		"pool":        {func(s *all, _ *one) { s.Pool.Name = "a//b" }, "spec.pool.name: Invalid value"},
		"count":       {func(s *all, _ *one) { s.Pool.ResourceSliceCount = 0 }, "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"},
		"generation":  {func(s *all, _ *one) { s.Pool.Generation = -1 }, "spec.pool.generation: Invalid value: -1"},
		"nowhere":     {func(s *all, _ *one) { s.NodeName = nil }, "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"},
		"everywhere":  {func(s *all, _ *one) { s.AllNodes = new(true) }, "spec: Invalid value: \"{`nodeName`, `allNodes`}\""},
		"no node":     {func(s *all, _ *one) { s.NodeName = new("") }, "must be either unset or set to a non-empty string"},
		"not":         {func(s *all, _ *one) { s.AllNodes = new(false) }, "must be either unset or set to true"},
		"selector":    {func(s *all, _ *one) { s.NodeName, s.NodeSelector = nil, &corev1.NodeSelector{} }, "must have exactly one node selector term"},
		"counters":    {func(s *all, _ *one) { s.SharedCounters = []resourcev1.CounterSet{{Name: "c"}} }, "only one of `sharedCounters` or `devices` is allowed"},
		"of a device": {func(s *all, d *one) { d.NodeName = new("n") }, "can only be set if `perDeviceNodeSelection` is set to true"},
		"per device":  {func(s *all, _ *one) { s.NodeName, s.PerDeviceNodeSelection = nil, new(true) }, "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required"},
		"name":        {func(_ *all, d *one) { d.Name = "A" }, "spec.devices[0].name: Invalid value"},
		"no value":    {attribute(resourcev1.DeviceAttribute{}), "spec.devices[0].attributes[a]: Invalid value: \"\": exactly one value must be specified"},
		"version":     {attribute(resourcev1.DeviceAttribute{VersionValue: new("1")}), "must be a string compatible with semver.org spec 2.0.0"},
		"long":        {attribute(resourcev1.DeviceAttribute{StringValue: new(strings.Repeat("a", 65))}), "attributes[a].string: Too long"},
		"key":         {func(_ *all, d *one) { d.Capacity = map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"a.b/": {}} }, "the name must not be empty"},
		"policy": {func(_ *all, d *one) {
			d.Capacity = map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"a": {RequestPolicy: &resourcev1.CapacityRequestPolicy{}}}
		}, "allowMultipleAllocations must be true"},
		"taint":       {func(_ *all, d *one) { d.Taints = []resourcev1.DeviceTaint{{Key: "a"}} }, "spec.devices[0].taints[0].effect: Required value"},
		"consumption": {func(_ *all, d *one) { d.ConsumesCounters = []resourcev1.DeviceCounterConsumption{{CounterSet: "c"}} }, "spec.devices[0].consumesCounters[0].counters: Required value"},
		"many":        {func(s *all, _ *one) { s.Devices = make([]resourcev1.Device, 129) }, "spec.devices: Too many: 129"},
	} {
		refused(t, name, validateSlice(having(tc.change)), tc.want)
	}
	refused(t, "other node", validateSliceChange(having(func(s *all, _ *one) { s.NodeName = new("m") }), having(nil)), "spec.nodeName: Invalid value")
	if got, want := fmt.Sprint(Slices(nil).Columns.Row(having(nil))), "[ n d.example.com p <unknown>]"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}

func TestTaintsAreStamped(t *testing.T) {
	before := &metav1.Time{Time: noon.Add(-time.Hour)}
	rule := func(value string, at *metav1.Time) *taintRule {
		return &taintRule{Spec: resourcev1.DeviceTaintRuleSpec{Taint: resourcev1.DeviceTaint{Key: "a", Value: value, Effect: "NoExecute", TimeAdded: at}}}
	}
	rules := TaintRules(wall()).Rules
	made := rule("", nil)
	rules.PrepareCreate(t.Context(), made)
	for name, tc := range map[string]struct {
		now  *taintRule
		want time.Time
	}{
		"made": {made, noon}, "same": {rule("", nil), before.Time}, "other": {rule("b", before), noon}, "said": {rule("b", &metav1.Time{Time: noon.Add(-time.Minute)}), noon.Add(-time.Minute)},
	} {
		if name != "made" {
			rules.PrepareUpdate(t.Context(), tc.now, rule("", before))
		}
		if !tc.now.Spec.Taint.TimeAdded.Time.Equal(tc.want) {
			t.Errorf("%s: since %v, want %v", name, tc.now.Spec.Taint.TimeAdded, tc.want)
		}
	}
	refused(t, "selector", rules.Validate(t.Context(), &taintRule{Spec: resourcev1.DeviceTaintRuleSpec{DeviceSelector: &resourcev1.DeviceTaintSelector{Driver: new("")}}}), "spec.deviceSelector.driver: Required value")
	s := having(func(_ *resourcev1.ResourceSliceSpec, d *resourcev1.Device) {
		d.Taints = []resourcev1.DeviceTaint{{Key: "a", Effect: "NoExecute"}}
	})
	Slices(wall()).Rules.PrepareCreate(t.Context(), s)
	again := s.DeepCopy()
	again.Spec.Devices[0].Taints[0].TimeAdded = nil
	s.Spec.Devices[0].Taints[0].TimeAdded = before
	Slices(wall()).Rules.PrepareUpdate(t.Context(), again, s)
	if !again.Spec.Devices[0].Taints[0].TimeAdded.Equal(before) {
		t.Errorf("a taint of a device is since %v", again.Spec.Devices[0].Taints[0].TimeAdded)
	}
}
