package podidentity

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Report is what a pod has become, in words.
type Report struct {
	// Text says what was injected where, or why nothing was; it is empty for pods that
	// have nothing to do with roles.
	Text string
	// Problems are what keeps containers from the credentials, or is written so that it
	// counts for nothing.
	Problems []string
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Report tells of a pod to which i and l have been applied; nil stands for none. annotations
// are those of its service account.
func (s *Settings) Report(pod *corev1.Pod, annotations map[string]string, i *Injection, l *LocalSTS) Report {
	var r Report
	var parts []string
	s.misplaced(&r, pod, annotations, i)
	if i != nil {
		parts = append(parts, s.injected(&r, pod, annotations, i))
	}
	unreadLocal(&r, "service account "+pod.Spec.ServiceAccountName, annotations)
	unreadLocal(&r, "pod", pod.Annotations)
	if l != nil {
		parts = append(parts, l.report(&r, pod))
	}
	if len(parts) == 0 {
		if len(r.Problems) > 0 {
			r.Text = "nothing injected: " + strings.Join(r.Problems, "; ")
		}
		return r
	}
	r.Text = strings.Join(parts, "; ")
	for _, p := range r.Problems {
		r.Text += "; problem: " + p
	}
	return r
}

// injected tells of what i did.
func (s *Settings) injected(r *Report, pod *corev1.Pod, annotations map[string]string, i *Injection) string {
	s.unread(r, "service account "+pod.Spec.ServiceAccountName, annotations)
	s.unread(r, "pod", pod.Annotations)
	i.checked(r, pod)
	ready := i.containers(r, pod)
	s.skips(r, pod)
	text := i.headline() + "; containers: " + listed(ready)
	if len(i.skip) > 0 {
		text += "; skipped: " + listed(slices.Sorted(maps.Keys(i.skip)))
	}
	return text
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (i *Injection) headline() string {
	what := "role " + i.RoleARN
	if i.Method == Agent {
		what = "container credentials from " + i.FullURI
		if i.RoleARN != "" {
			what += " for role " + i.RoleARN
		}
	}
	return fmt.Sprintf("%s; token for %s, %d s", what, i.Audience, i.Expiration)
}

// misplaced finds annotations that stand where they do nothing.
func (s *Settings) misplaced(r *Report, pod *corev1.Pod, annotations map[string]string, i *Injection) {
	if _, ok := pod.Annotations[s.key(roleKey)]; ok {
		r.problem("annotation %s counts on a service account, and stands on the pod", s.key(roleKey))
	}
	if i != nil {
		return
	}
	if role, ok := annotations[s.key(roleKey)]; ok && role == "" {
		r.problem("annotation %s of service account %s is empty", s.key(roleKey), pod.Spec.ServiceAccountName)
		return
	}
	for _, name := range []string{audienceKey, regionalKey, expirationKey} {
		if _, ok := annotations[s.key(name)]; ok {
			r.problem("service account %s has annotation %s, but no %s", pod.Spec.ServiceAccountName, s.key(name), s.key(roleKey))
		}
	}
}

// unread finds values that are passed over.
func (s *Settings) unread(r *Report, of string, annotations map[string]string) {
	if text, ok := annotations[s.key(expirationKey)]; ok {
		seconds, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			r.problem("annotation %s of %s is no number of seconds: %q", s.key(expirationKey), of, text)
		case seconds < LeastExpiration:
			r.problem("annotation %s of %s is less than %d s, which are taken", s.key(expirationKey), of, LeastExpiration)
		}
	}
	if text, ok := annotations[s.key(regionalKey)]; ok && of != "pod" {
		if _, err := strconv.ParseBool(text); err != nil {
			r.problem("annotation %s of %s is neither true nor false: %q", s.key(regionalKey), of, text)
		}
	}
}

// checked finds what STS would refuse.
func (i *Injection) checked(r *Report, pod *corev1.Pod) {
	if i.Method == Agent && i.RoleARN == "" {
		r.problem("the file of container credentials has no roleArn for the service account, so the agent of this system refuses it")
	}
	if i.Method == Agent && pod.Spec.HostNetwork {
		r.problem("the pod has the network of its node, where nobody of this system answers at %s", i.FullURI)
	}
	if (i.Method == WebIdentity || i.RoleARN != "") && !roleARN.MatchString(i.RoleARN) {
		r.problem("%q is not the ARN of a role, such as arn:aws:iam::111122223333:role/my-role", i.RoleARN)
	}
	if i.Audience == "" {
		r.problem("the audience is empty, so the token is one for the API server and not for STS")
	}
}

// skips finds what is wrong with the list of containers to skip.
func (s *Settings) skips(r *Report, pod *corev1.Pod) {
	names, err := skipped(pod.Annotations[s.key(skipKey)])
	if err != nil {
		r.problem("annotation %s is not a list of names with commas between, and skips none: %v", s.key(skipKey), err)
	}
	for _, name := range names {
		has := func(c corev1.Container) bool { return c.Name == name }
		if !slices.ContainsFunc(pod.Spec.Containers, has) && !slices.ContainsFunc(pod.Spec.InitContainers, has) {
			r.problem("annotation %s names %q, and no container is called that", s.key(skipKey), name)
		}
	}
}

// containers returns those that can reach their credentials as they were meant to, and
// finds what is wrong with the others.
func (i *Injection) containers(r *Report, pod *corev1.Pod) (ready []string) {
	if v := i.hasVolume(pod); v == nil || !i.isToken(v) {
		r.problem("volume %s is the pod's own and holds no token for %s at path %s", i.volumeName, i.Audience, i.tokenPath)
	}
	tokenFile := i.tokenFile(pod)
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if i.skip[c.Name] {
			continue
		}
		if problem := i.of(&c, tokenFile); problem != "" {
			r.problem("container %s: %s", c.Name, problem)
			continue
		}
		ready = append(ready, c.Name)
	}
	return ready
}

// of says what is wrong with a container, "" for nothing.
func (i *Injection) of(c *corev1.Container, tokenFile string) string {
	env := map[string]*corev1.EnvVar{}
	for at := range c.Env {
		env[c.Env[at].Name] = &c.Env[at]
	}
	own := i.own(tokenFile)
	for at, name := range []string{own[0].Name, own[1].Name} {
		if other := own[1-at].Name; env[name] == nil && env[other] != nil {
			return fmt.Sprintf("%s is set and %s is not, which was not added: set both or neither", other, name)
		}
	}
	if env["AWS_ACCESS_KEY_ID"] != nil {
		return "AWS_ACCESS_KEY_ID is set, and SDKs prefer it"
	}
	for _, v := range own {
		if set := env[v.Name]; set.ValueFrom != nil || set.Value != v.Value {
			return v.Name + " has another value of its own"
		}
	}
	if i.Method == Agent && env[envRole] != nil && env[envTokenFile] != nil {
		return envRole + " is set, and SDKs prefer it to container credentials"
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return path.Clean(m.MountPath) == path.Clean(i.mountPath) }) {
		return fmt.Sprintf("nothing is mounted at %s, where %s looks for the token", i.mountPath, own[1].Name)
	}
	return ""
}
