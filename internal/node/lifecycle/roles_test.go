package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/cri"
)

// rolesCase is a pod in a few words. Containers are "name" or "name=policy", init
// containers of policy Always being sidecars, with rules of their own as
// "name=policy:action:codes". has tells the newest container of each: "run", "start" (runs,
// and its start is not done), "made", "lost", "image" (runs with another image) or an
// exit code; "@old" puts it into a sandbox that is no more in use. knows is what only the
// API remembers, "run" or an exit code, with "@old" from before the sandbox.
type rolesCase struct {
	policy          string
	init, main, eph string
	has, knows      string
	noSandbox       bool
	restarting      bool // the API says that all containers are being restarted
	replace         string
	start, stop     string
	over            bool
	reset           string
}

func TestDecideByRole(t *testing.T) {
	for name, tt := range map[string]rolesCase{
		// Init containers, one after the other.
		"a new pod starts its first init container":      {init: "i j", main: "m", start: "i"},
		"a new pod without a sandbox does too":           {init: "i j", main: "m", noSandbox: true, start: "i"},
		"the next waits while the first runs":            {init: "i j", main: "m", has: "i:run"},
		"an init container that was made only":           {init: "i j", main: "m", has: "i:made", start: "i"},
		"the next starts after success":                  {init: "i j", main: "m", has: "i:0", start: "j"},
		"the record of the first may be gone":            {init: "i j", main: "m", has: "j:run"},
		"both records may be gone but the last":          {init: "i j k", main: "m", has: "k:0", start: "m"},
		"all done":                                       {init: "i j", main: "m n", has: "i:0 j:0", start: "m n"},
		"a failed one is started again":                  {init: "i j", main: "m", has: "i:1", start: "i"},
		"also by OnFailure":                              {policy: "OnFailure", init: "i j", main: "m", has: "i:1", start: "i"},
		"a later failed one too":                         {init: "i j", main: "m", has: "i:0 j:9", start: "j"},
		"by Never it ends the pod":                       {policy: "Never", init: "i j", main: "m", has: "i:1", over: true},
		"by Never success goes on":                       {policy: "Never", init: "i j", main: "m", has: "i:0", start: "j"},
		"its own policy wins: Never":                     {init: "i=Never", main: "m", has: "i:1", over: true},
		"its own policy wins: OnFailure":                 {policy: "Never", init: "i=OnFailure", main: "m", has: "i:1", start: "i"},
		"its own rule wins":                              {policy: "Never", init: "i=Never:Restart:42", main: "m", has: "i:42", start: "i"},
		"another code is not the rule's":                 {policy: "Never", init: "i=Never:Restart:42", main: "m", has: "i:41", over: true},
		"a lost one is started again":                    {init: "i", main: "m", has: "i:lost", start: "i"},
		"a lost one by Never ends the pod":               {policy: "Never", init: "i", main: "m", has: "i:lost", over: true},
		"none runs again once a main container ran":      {init: "i j", main: "m", has: "m:1", start: "m"},
		"not even one that has failed":                   {init: "i", main: "m", has: "i:1 m:run"},
		"nor one whose main container was made only":     {init: "i", main: "m", has: "m:made", start: "m"},
		"nor when only one of two main ones was started": {init: "i", main: "m n", has: "m:run", start: "n"},
		"one that is to be replaced":                     {init: "i", main: "m", has: "i:run", replace: "i", stop: "i", start: "i"},

		// What the API remembers of records that are gone.
		"success is remembered":                    {init: "i j", main: "m", knows: "i:0", start: "j"},
		"of the last one too":                      {init: "i j", main: "m", knows: "i:0 j:0", start: "m"},
		"failure does not count as done":           {init: "i j", main: "m", knows: "i:1", start: "i"},
		"success in an old sandbox does not count": {init: "i j", main: "m", knows: "i:0@old", start: "i"},
		"a main container that ran is remembered":  {init: "i", main: "m", knows: "m:run", start: "m"},
		"and one that has ended":                   {init: "i", main: "m", knows: "m:1", start: "m"},
		"not one of an old sandbox":                {init: "i", main: "m", knows: "m:run@old", start: "i"},
		"nothing while all are restarted":          {init: "i", main: "m", knows: "i:0 m:run", restarting: true, start: "i"},
		"without a sandbox nothing is remembered":  {init: "i", main: "m", knows: "i:0 m:run", noSandbox: true, start: "i"},

		// A sandbox made anew.
		"all run again":                           {init: "i j", main: "m", has: "i:0@old j:0@old m:137@old", start: "i"},
		"also before the new one is made":         {init: "i j", main: "m", has: "i:0@old j:0@old m:137@old", noSandbox: true, start: "i"},
		"then the next":                           {init: "i j", main: "m", has: "i:0 j:0@old m:137@old", start: "j"},
		"then the main container":                 {init: "i j", main: "m", has: "i:0 j:0 m:137@old", start: "m"},
		"a main container of the old one stops":   {init: "i", main: "m", has: "i:0@old m:run@old", stop: "m", start: "i"},
		"an init container of the old one stops":  {init: "i", main: "m", has: "i:run@old", stop: "i", start: "i"},
		"a sidecar of the old one stops":          {init: "s=Always", main: "m", has: "s:run@old m:137@old", stop: "s", start: "s"},
		"no new one for a pod that is done":       {policy: "Never", init: "i", main: "m", has: "i:0@old m:0@old", noSandbox: true, over: true},
		"none by OnFailure after success":         {policy: "OnFailure", init: "i", main: "m", has: "i:0@old m:0@old", noSandbox: true, over: true},
		"one by OnFailure after a failure":        {policy: "OnFailure", init: "i", main: "m", has: "i:0@old m:1@old", noSandbox: true, start: "i"},
		"by Never it ends a running init":         {policy: "Never", init: "i", main: "m", has: "i:run@old", noSandbox: true, over: true},
		"by Never an init that was killed is bad": {policy: "Never", init: "i", main: "m", has: "i:137@old", noSandbox: true, over: true},
		"by Never a running main one is bad":      {policy: "Never", init: "i", main: "m", has: "i:0@old m:run@old", over: true},

		// Sidecars.
		"a sidecar first":                          {init: "s=Always i", main: "m", start: "s"},
		"the next waits for its start":             {init: "s=Always i", main: "m", has: "s:start"},
		"the next once it is started":              {init: "s=Always i", main: "m", has: "s:run", start: "i"},
		"the main container too":                   {init: "s=Always", main: "m", has: "s:run", start: "m"},
		"not before its start is done":             {init: "s=Always", main: "m", has: "s:start"},
		"one that was made only":                   {init: "s=Always i", main: "m", has: "s:made", start: "s"},
		"one that ended before its start was done": {init: "s=Always i", main: "m", has: "s:0", start: "s"},
		"while a later init container runs":        {init: "s=Always i", main: "m", has: "s:1 i:run", start: "s"},
		"and the next after that goes on":          {init: "s=Always i j", main: "m", has: "s:1 i:0", start: "s j"},
		"by Never too":                             {policy: "Never", init: "s=Always i", main: "m", has: "s:1 i:run", start: "s"},
		"beside a main container":                  {policy: "Never", init: "s=Always", main: "m", has: "s:1 m:run", start: "s"},
		"with a main container, both":              {init: "s=Always", main: "m", has: "s:1 m:1", start: "s m"},
		"a later main container does not wait":     {init: "s=Always", main: "m n", has: "s:1 m:run", start: "s n"},
		"a lost one":                               {policy: "Never", init: "s=Always", main: "m", has: "s:lost m:run", start: "s"},
		"one whose record is gone":                 {policy: "Never", init: "s=Always", main: "m", has: "m:run", start: "s"},
		"one between two others":                   {init: "s=Always t=Always u=Always", main: "m", has: "s:run t:start"},
		"a restart does not hold up the pod":       {init: "s=Always t=Always", main: "m", has: "s:start t:run m:run"},
		"one of another image":                     {init: "s=Always", main: "m", has: "s:image m:run", stop: "s", start: "s"},
		"one that is to be replaced, beside m":     {init: "s=Always", main: "m", has: "s:run m:run", replace: "s", stop: "s", start: "s"},
		"not once the main container is done":      {policy: "Never", init: "s=Always", main: "m", has: "s:run m:0", over: true},
		"nor is it started then":                   {policy: "Never", init: "s=Always", main: "m", has: "s:1 m:0", over: true},
		"while another main container runs":        {policy: "Never", init: "s=Always", main: "m n", has: "s:1 m:0 n:run", start: "s"},
		"a failed init container ends it too":      {policy: "Never", init: "s=Always i", main: "m", has: "s:run i:1", over: true},

		// Main containers, by their own policy.
		"Always in a pod of Never":         {policy: "Never", main: "m=Always n", has: "m:0 n:0", start: "m"},
		"OnFailure in a pod of Never":      {policy: "Never", main: "m=OnFailure", has: "m:1", start: "m"},
		"OnFailure after success":          {policy: "Always", main: "m=OnFailure", has: "m:0", over: true},
		"Never in a pod of Always":         {main: "m=Never", has: "m:1", over: true},
		"Never beside one that runs":       {main: "m=Never n", has: "m:1 n:run"},
		"a rule of Never":                  {policy: "Never", main: "m=Never:Restart:42,43", has: "m:43", start: "m"},
		"a rule that does not match":       {policy: "Never", main: "m=Never:Restart:42,43", has: "m:44", over: true},
		"a rule of all codes but some":     {policy: "Never", main: "m=Never:Restart:!0", has: "m:7", start: "m"},
		"a rule of all codes but this one": {policy: "Never", main: "m=Never:Restart:!0", has: "m:0", over: true},
		"a rule restarts a success":        {policy: "Never", main: "m=Never:Restart:0", has: "m:0", start: "m"},
		"no rule for one that was lost":    {policy: "Never", main: "m=Never:RestartAllContainers:255", has: "m:lost", start: "m"},

		// All containers again.
		"all are removed, the reason last":    {policy: "Never", init: "i s=Always", main: "m=Never:RestartAllContainers:42 n", has: "i:0 s:run m:42 n:run", reset: "i s n m"},
		"by a sidecar":                        {init: "s=Always:RestartAllContainers:42", main: "m", has: "s:42 m:run", reset: "m s"},
		"by an init container":                {policy: "Never", init: "i j=Never:RestartAllContainers:42", main: "m", has: "i:0 j:42", reset: "i j"},
		"not by another code":                 {policy: "Never", main: "m=Never:RestartAllContainers:42 n", has: "m:1 n:run"},
		"not while it runs":                   {main: "m=Never:RestartAllContainers:42", has: "m:run"},
		"not by the end in another sandbox":   {policy: "Never", main: "m=Never:RestartAllContainers:42", has: "m:42@old", start: "m"},
		"ephemeral containers are left alone": {policy: "Never", main: "m=Never:RestartAllContainers:42", eph: "e", has: "m:42 e:run", reset: "m"},

		// Ephemeral containers.
		"one is started beside a main container": {main: "m", eph: "e", has: "m:run", start: "e"},
		"before the pod is initialized":          {init: "i", main: "m", eph: "e", has: "i:run", start: "e"},
		"before anything else":                   {init: "i", main: "m", eph: "e", start: "e i"},
		"never twice":                            {main: "m", eph: "e", has: "m:run e:1"},
		"not though its record is gone":          {main: "m", eph: "e", has: "m:run", knows: "e:1"},
		"not in a new sandbox":                   {main: "m", eph: "e", has: "m:1 e:137@old", start: "m"},
		"one that was made only, by role":        {main: "m", eph: "e", has: "m:run e:made", start: "e"},
		"it does not keep a pod":                 {policy: "Never", main: "m", eph: "e", has: "m:0 e:run", over: true},
		"nor is it started in one that is done":  {policy: "Never", main: "m", eph: "e", has: "m:0", over: true},
	} {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

func (tt rolesCase) check(t *testing.T) {
	pod := tt.pod(t)
	r := tt.runtime(pod)
	replace := Replace{}
	if tt.replace != "" {
		replace[tt.replace] = "id-" + tt.replace
	}
	p := Decide(pod, r, replace)
	var start, stop, reset []string
	for _, c := range p.Start {
		start = append(start, c.Spec.Name)
		if c.Asked != (c.Spec.Name == tt.replace) {
			t.Errorf("%s is asked for: %t", c.Spec.Name, c.Asked)
		}
	}
	for _, c := range p.Stop {
		stop = append(stop, c.Name)
	}
	for _, c := range p.Reset {
		reset = append(reset, c.Name)
	}
	for what, pair := range map[string][2]string{"start": {strings.Join(start, " "), tt.start}, "stop": {strings.Join(stop, " "), tt.stop}, "reset": {strings.Join(reset, " "), tt.reset}} {
		if pair[0] != pair[1] {
			t.Errorf("%s %q, want %q", what, pair[0], pair[1])
		}
	}
	if p.Over != tt.over {
		t.Errorf("over: %t", p.Over)
	}
	if (p.Trigger != nil) != (tt.reset != "") || p.Trigger != nil && p.Trigger.Spec.Name != reset[len(reset)-1] {
		t.Errorf("trigger %+v", p.Trigger)
	}
}

// sandboxBegan is when the sandbox in use was made.
var sandboxBegan = time.Unix(1000, 5e8)

func (tt rolesCase) pod(t *testing.T) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicy(tt.policy), InitContainers: containersOf(t, tt.init), Containers: containersOf(t, tt.main),
	}}
	for _, name := range strings.Fields(tt.eph) {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "i"}})
	}
	if tt.restarting {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.AllContainersRestarting, Status: corev1.ConditionTrue}}
	}
	for _, k := range strings.Fields(tt.knows) {
		name, state, old := stateOf(k)
		at := metav1.NewTime(sandboxBegan.Truncate(time.Second))
		if old {
			at = metav1.NewTime(at.Add(-time.Second))
		}
		s := corev1.ContainerStatus{Name: name, ContainerID: "fake://" + name}
		if state == "run" {
			s.State.Running = &corev1.ContainerStateRunning{StartedAt: at}
		} else {
			s.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: codeOf(state), StartedAt: at, FinishedAt: at}
		}
		switch {
		case strings.Contains(" "+tt.init+" ", " "+name+" "):
			pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, s)
		case strings.Contains(tt.eph, name):
			pod.Status.EphemeralContainerStatuses = append(pod.Status.EphemeralContainerStatuses, s)
		default:
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, s)
		}
	}
	return pod
}

func (tt rolesCase) runtime(pod *corev1.Pod) *Runtime {
	r := &Runtime{Probed: map[string]Probed{}}
	if !tt.noSandbox {
		r.Sandboxes = []cri.Sandbox{{ID: "s", State: cri.SandboxReady, IPs: []string{"10.0.0.1"}, CreatedAt: sandboxBegan}}
	}
	for _, k := range strings.Fields(tt.has) {
		name, state, old := stateOf(k)
		c := cri.Container{ID: "id-" + name, Name: name, SandboxID: "s", State: cri.ContainerRunning,
			Annotations: map[string]string{AnnotationHash: Hash(Find(&pod.Spec, name))}}
		if old {
			c.SandboxID = "old"
		}
		switch state {
		case "run":
		case "start":
			r.Probed[c.ID] = Probed{}
		case "image":
			c.Annotations = map[string]string{AnnotationHash: "other"}
		case "made":
			c.State = cri.ContainerCreated
		case "lost":
			c.State, c.ExitCode = cri.ContainerUnknown, lost
		default:
			c.State, c.ExitCode = cri.ContainerExited, codeOf(state)
		}
		r.Containers = append(r.Containers, c)
	}
	return r
}

func stateOf(text string) (name, state string, old bool) {
	name, state, _ = strings.Cut(text, ":")
	state, old = strings.CutSuffix(state, "@old")
	return name, state, old
}

func codeOf(text string) (code int32) {
	if _, err := fmt.Sscan(text, &code); err != nil {
		panic(text)
	}
	return code
}

func containersOf(t *testing.T, text string) (list []corev1.Container) {
	for _, k := range strings.Fields(text) {
		name, policy, own := strings.Cut(k, "=")
		c := corev1.Container{Name: name, Image: "i"}
		if own {
			parts := strings.Split(policy, ":")
			p := corev1.ContainerRestartPolicy(parts[0])
			c.RestartPolicy = &p
			if len(parts) == 3 {
				codes := &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn}
				values, not := strings.CutPrefix(parts[2], "!")
				if not {
					codes.Operator = corev1.ContainerRestartRuleOnExitCodesOpNotIn
				}
				for _, v := range strings.Split(values, ",") {
					codes.Values = append(codes.Values, codeOf(v))
				}
				c.RestartPolicyRules = []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleAction(parts[1]), ExitCodes: codes}}
			}
		}
		list = append(list, c)
	}
	return list
}

// TestFirstMatchingRuleDecides has two rules for one code.
func TestFirstMatchingRuleDecides(t *testing.T) {
	never := corev1.ContainerRestartPolicyNever
	in := func(action corev1.ContainerRestartRuleAction, codes ...int32) corev1.ContainerRestartRule {
		return corev1.ContainerRestartRule{Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: codes}}
	}
	rules := []corev1.ContainerRestartRule{in(corev1.ContainerRestartRuleActionRestart, 1, 2), in(corev1.ContainerRestartRuleActionRestartAllContainers, 2, 3)}
	c := &corev1.Container{RestartPolicy: &never, RestartPolicyRules: rules}
	var got []string
	for code := range int32(5) {
		action := "policy"
		if rule := podfields.MatchingRule(c, code); rule != nil {
			action = string(rule.Action)
		}
		got = append(got, action)
	}
	if want := []string{"policy", "Restart", "Restart", "RestartAllContainers", "policy"}; !slices.Equal(got, want) {
		t.Errorf("by exit code %v", got)
	}
}
