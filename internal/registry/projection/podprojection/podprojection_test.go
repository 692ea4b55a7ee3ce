package podprojection

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
)

var now = time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)

func stamp(d time.Duration) *metav1.Time { return ptr.To(metav1.NewTime(now.Add(d))) }

// good is an object with everything in it.
func good() *object {
	digest := v1alpha1.DigestPrefix + strings.Repeat("0a", 32)
	return &object{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", CreationTimestamp: *stamp(0),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web", UID: "u"}}},
		Spec: v1alpha1.PodProjectionSpec{NodeName: "node-1"},
		Status: v1alpha1.PodProjectionStatus{
			Conditions: []metav1.Condition{{Type: "InStep", Status: "False", Reason: "Behind", LastTransitionTime: *stamp(0)}},
			Volumes: []v1alpha1.VolumeStatus{
				{
					Name: "config", Generation: "..2026_02_01_12_00_00.1", Digest: digest, PublishedTime: stamp(-time.Hour), Problem: "gone\nastray",
					Sources: []v1alpha1.SourceStatus{
						{Kind: "ConfigMap", Name: "app", ObservedVersion: "7", PublishedVersion: "6"},
						{Kind: "Secret", Name: "app", ObservedVersion: "5", PublishedVersion: "5"},
					},
					Checks:  []v1alpha1.OutcomeStatus{{Container: "main", Action: "check nginx", Result: "Rejected", Time: *stamp(-time.Minute)}},
					Actions: []v1alpha1.OutcomeStatus{{Container: "main", Action: "signal SIGHUP", Result: "Succeeded", Time: *stamp(-time.Hour)}},
				},
				{
					Name: "identity", Generation: "..x", PublishedTime: stamp(-2 * time.Hour),
					Sources: []v1alpha1.SourceStatus{{Kind: "Pod", Name: "web", ObservedVersion: "3", PublishedVersion: "3"}},
					Tokens: []v1alpha1.TokenStatus{
						{Path: "a/token", Audience: "vault", ExpirationTime: stamp(time.Hour), RotationTime: stamp(50 * time.Minute)},
						{Path: "token", ExpirationTime: stamp(2 * time.Hour), RotationTime: stamp(100 * time.Minute)},
						{Path: "later"},
					},
				},
			},
		},
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", v1alpha1.MaxMessage+1)
	volume := func(change func(*v1alpha1.VolumeStatus)) func(*object) {
		return func(p *object) { change(&p.Status.Volumes[0]) }
	}
	for name, tc := range map[string]struct {
		change func(*object)
		want   string
	}{
		"good":              {func(*object) {}, ""},
		"nothing published": {func(p *object) { p.Status = v1alpha1.PodProjectionStatus{} }, ""},
		"no owner":          {func(p *object) { p.OwnerReferences = nil }, "metadata.ownerReferences: Required value"},
		"two owners":        {func(p *object) { p.OwnerReferences = append(p.OwnerReferences, p.OwnerReferences[0]) }, "metadata.ownerReferences: Invalid value"},
		"another's name":    {func(p *object) { p.OwnerReferences[0].Name = "x" }, "must refer to the pod of the same name alone"},
		"not a pod":         {func(p *object) { p.OwnerReferences[0].Kind = "Node" }, "must refer to the pod of the same name alone"},
		"another group":     {func(p *object) { p.OwnerReferences[0].APIVersion = "x/v1" }, "must refer to the pod of the same name alone"},
		"no node":           {func(p *object) { p.Spec.NodeName = "" }, "spec.nodeName: Required value"},
		"bad node":          {func(p *object) { p.Spec.NodeName = "A_b" }, `spec.nodeName: Invalid value: "A_b"`},
		"condition":         {func(p *object) { p.Status.Conditions[0].Status = "Maybe" }, "status.conditions[0].status: Unsupported value"},
		"volume name":       {volume(func(v *v1alpha1.VolumeStatus) { v.Name = "A" }), `status.volumes[0].name: Invalid value: "A"`},
		"volume twice":      {volume(func(v *v1alpha1.VolumeStatus) { v.Name = "identity" }), `status.volumes[1]: Duplicate value: "identity"`},
		"generation":        {volume(func(v *v1alpha1.VolumeStatus) { v.Generation = "a/b" }), "must be the name of a directory"},
		"long generation":   {volume(func(v *v1alpha1.VolumeStatus) { v.Generation = long }), "status.volumes[0].generation: Too long"},
		"bare digest":       {volume(func(v *v1alpha1.VolumeStatus) { v.Digest = "sha256:" + strings.Repeat("0", 64) }), "must be hmac-sha256: and 64 hexadecimal digits"},
		"problem":           {volume(func(v *v1alpha1.VolumeStatus) { v.Problem = long }), "status.volumes[0].problem: Too long"},
		"source kind":       {volume(func(v *v1alpha1.VolumeStatus) { v.Sources[0].Kind = "Node" }), `status.volumes[0].sources[0].kind: Unsupported value: "Node": supported values: "ConfigMap", "Pod", "Secret"`},
		"source name":       {volume(func(v *v1alpha1.VolumeStatus) { v.Sources[0].Name = "" }), "status.volumes[0].sources[0].name: Required value"},
		"odd source name":   {volume(func(v *v1alpha1.VolumeStatus) { v.Sources[0].Name = "Not A Name" }), ""},
		"source twice":      {volume(func(v *v1alpha1.VolumeStatus) { v.Sources[1] = v.Sources[0] }), `status.volumes[0].sources[1]: Duplicate value: "ConfigMap/app"`},
		"version":           {volume(func(v *v1alpha1.VolumeStatus) { v.Sources[0].ObservedVersion = long }), "observedVersion: Too long"},
		"token path":        {func(p *object) { p.Status.Volumes[1].Tokens[0].Path = "../x" }, "must be a path inside the volume"},
		"token twice":       {func(p *object) { p.Status.Volumes[1].Tokens[0].Path = "token" }, `tokens[1]: Duplicate value: "token"`},
		"audience":          {func(p *object) { p.Status.Volumes[1].Tokens[0].Audience = long }, "audience: Too long"},
		"outcome twice":     {volume(func(v *v1alpha1.VolumeStatus) { v.Actions = append(v.Actions, v.Actions[0]) }), `actions[1]: Duplicate value: "main: signal SIGHUP"`},
		"result":            {volume(func(v *v1alpha1.VolumeStatus) { v.Checks[0].Result = "Fine" }), `checks[0].result: Unsupported value: "Fine"`},
		"container":         {volume(func(v *v1alpha1.VolumeStatus) { v.Checks[0].Container = "" }), "checks[0].container: Invalid value"},
		"no action":         {volume(func(v *v1alpha1.VolumeStatus) { v.Actions[0].Action = "" }), "actions[0].action: Required value"},
		"no time":           {volume(func(v *v1alpha1.VolumeStatus) { v.Actions[0].Time = metav1.Time{} }), "actions[0].time: Required value"},
		"message":           {volume(func(v *v1alpha1.VolumeStatus) { v.Actions[0].Message = long }), "actions[0].message: Too long"},
		"many volumes": {func(p *object) {
			p.Status.Volumes = make([]v1alpha1.VolumeStatus, v1alpha1.MaxVolumes+1)
		}, "status.volumes: Forbidden: has 257 volumes, at most 256 are allowed"},
		"many sources": {volume(func(v *v1alpha1.VolumeStatus) { v.Sources = make([]v1alpha1.SourceStatus, v1alpha1.MaxSources) }), "has 513 sources"},
		"many tokens":  {volume(func(v *v1alpha1.VolumeStatus) { v.Tokens = make([]v1alpha1.TokenStatus, v1alpha1.MaxTokens) }), "has 67 tokens"},
		"many checks":  {volume(func(v *v1alpha1.VolumeStatus) { v.Checks = make([]v1alpha1.OutcomeStatus, v1alpha1.MaxOutcomes) }), "has 129 checks and actions"},
	} {
		p := good()
		tc.change(p)
		err := validate(p).ToAggregate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestPodAndNodeCannotChange(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*object)
		want   string
	}{
		"status": {func(p *object) { p.Status = v1alpha1.PodProjectionStatus{} }, ""},
		"labels": {func(p *object) { p.Labels = map[string]string{"a": "b"} }, ""},
		"node":   {func(p *object) { p.Spec.NodeName = "node-2" }, "spec: Invalid value"},
		"owner":  {func(p *object) { p.OwnerReferences[0].UID = "v" }, "metadata.ownerReferences: Invalid value"},
		"none":   {func(p *object) { p.OwnerReferences = nil }, "metadata.ownerReferences: Invalid value"},
		"digest": {func(p *object) { p.Status.Volumes[0].Digest = "x" }, "status.volumes[0].digest: Invalid value"},
	} {
		p := good()
		tc.change(p)
		err := validateUpdate(p, good()).ToAggregate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestRow(t *testing.T) {
	p := good()
	p.CreationTimestamp = metav1.Time{}
	want := []any{"web", "config,identity", "4/6", "60m", "50m", "<unknown>", "node-1", "check nginx in main: Rejected", "config: gone astray"}
	if got := row(p, now, now); !slices.Equal(got, want) {
		t.Errorf("row %v\nwant %v", got, want)
	}
	if got := len(columns(clock.APIOf(clock.Real())).Columns); got != len(want) {
		t.Errorf("%d columns for %d cells", got, len(want))
	}
	if got := row(p, now, now.Add(time.Hour))[4]; got != "now" {
		t.Errorf("next rotation %q, want now", got)
	}
	p.Status.Volumes[0].Problem = strings.Repeat("é ", 100)
	if got := row(p, now, now)[8].(string); len(got) > shownProblem || !strings.HasSuffix(got, "...") {
		t.Errorf("problem of %d bytes: %q", len(got), got)
	}
	for i := range 3 {
		p.Status.Volumes = append(p.Status.Volumes, v1alpha1.VolumeStatus{Name: fmt.Sprint("v", i)})
	}
	if got := row(p, now, now)[1]; got != "config,identity,v0 + 2 more..." {
		t.Errorf("volumes %q", got)
	}
	empty := &object{ObjectMeta: metav1.ObjectMeta{Name: "e"}}
	if got := row(empty, now, now); !slices.Equal(got, []any{"e", none, "0/0", none, none, "<unknown>", "", none, none}) {
		t.Errorf("row of an empty object: %v", got)
	}
}

func TestFieldLabels(t *testing.T) {
	s := runtime.NewScheme()
	if err := Definition(clock.APIOf(clock.Real())).Register(s); err != nil {
		t.Fatal(err)
	}
	gvk := v1alpha1.SchemeGroupVersion.WithKind(v1alpha1.Kind)
	if _, _, err := s.ConvertFieldLabel(gvk, "spec.nodeName", "x"); err != nil {
		t.Error(err)
	}
	if _, _, err := s.ConvertFieldLabel(gvk, "status.nonsense", "x"); err == nil {
		t.Error("status.nonsense can be selected by")
	}
}

func TestLastOutcome(t *testing.T) {
	outcome := func(action string, result v1alpha1.Result, at time.Duration) v1alpha1.OutcomeStatus {
		return v1alpha1.OutcomeStatus{Container: "main", Action: action, Result: result, Time: *stamp(at)}
	}
	for name, tc := range map[string]struct {
		actions []v1alpha1.OutcomeStatus
		want    string
	}{
		"none":              {nil, "<none>"},
		"the newest":        {[]v1alpha1.OutcomeStatus{outcome("exec a", v1alpha1.Failed, -time.Second), outcome("exec b", v1alpha1.Succeeded, 0)}, "exec b in main: Succeeded"},
		"one before it":     {[]v1alpha1.OutcomeStatus{outcome("exec a", v1alpha1.Succeeded, 0), outcome("exec b", v1alpha1.Failed, -time.Second)}, "exec a in main: Succeeded"},
		"at once, as it is": {[]v1alpha1.OutcomeStatus{outcome("exec a", v1alpha1.Succeeded, 0), outcome("exec b", v1alpha1.Skipped, 0)}, "exec b in main: Skipped"},
		"at once, a wrong":  {[]v1alpha1.OutcomeStatus{outcome("exec a", v1alpha1.Failed, 0), outcome("exec b", v1alpha1.Succeeded, 0)}, "exec a in main: Failed"},
	} {
		s := &v1alpha1.PodProjectionStatus{Volumes: []v1alpha1.VolumeStatus{{Name: "v", Actions: tc.actions}}}
		if got := lastOutcome(s); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
