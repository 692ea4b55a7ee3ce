package compat

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestP6OwnerOfTokens(t *testing.T) {
	s := newStage(t)
	const none = int64(-1)
	id := func(v int64) *int64 {
		if v == none {
			return nil
		}
		return &v
	}
	account := s.configMap(t, map[string]string{"plain": "x"})
	for _, tc := range []struct {
		name           string
		pod, one, two  int64 // runAsUser of the pod and of its two containers
		fsGroup        int64
		token, sibling string // mode and owner of the token and of a file beside it
	}{
		{"nothing is set", none, none, none, none, "644 0:0", "644 0:0"},
		{"user of the pod", 1000, none, none, none, "600 1000:0", "644 0:0"},
		{"group of files", none, none, none, 10000, "640 0:10000", "644 0:10000"},
		{"user of the pod and group of files", 1000, none, none, 10000, "640 1000:10000", "644 0:10000"},
		{"the same user in all containers", none, 1000, 1000, none, "600 1000:0", "644 0:0"},
		{"the same user in pod and container", 1000, 1000, none, none, "600 1000:0", "644 0:0"},
		{"containers agree on another user than the pod", 1000, 2000, 2000, none, "600 2000:0", "644 0:0"},
		{"root in all containers", 0, none, none, none, "600 0:0", "644 0:0"},
		{"different users", none, 1000, 2000, none, "644 0:0", "644 0:0"},
		{"one container differs from the pod", 1000, none, 2000, none, "644 0:0", "644 0:0"},
		{"one container is root", 1000, none, 0, none, "644 0:0", "644 0:0"},
		{"one container has no user", none, 1000, none, none, "644 0:0", "644 0:0"},
		{"different users and group of files", none, 1000, 2000, 10000, "640 0:10000", "644 0:10000"},
	} {
		s.conforms(t, tc.name, func(t *testing.T) {
			line := `cd /tokens && test "$(cut -c 1-2 token)" = ey && stat -L -c '%a %u:%g' token plain && stat -c %u:%g token`
			pod := shell(s.name("pod"), line)
			volume := tokenVolume("vault", 3600)
			volume.Projected.Sources = append(volume.Projected.Sources, projectedConfigMapFiles.source(account.Name, files{}).Projected.Sources...)
			mount(pod, "/tokens", volume)
			other := pod.Spec.Containers[0]
			other.Name = "other"
			pod.Spec.Containers = append(pod.Spec.Containers, other)
			for i, user := range []int64{tc.one, tc.two} {
				pod.Spec.Containers[i].SecurityContext = &corev1.SecurityContext{RunAsUser: id(user)}
			}
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: id(tc.pod), FSGroup: id(tc.fsGroup)}
			// Both containers can read their token: the pod succeeds. Where
			// fs.protected_symlinks is set, nobody could follow a link of another user.
			owner := "0:" + tc.token[strings.LastIndex(tc.token, ":")+1:]
			if got, want := s.output(t, pod), fmt.Sprintf("%s\n%s\n%s\n", tc.token, tc.sibling, owner); got != want {
				t.Errorf("token, file beside it and link to the token are\n%s\nwant\n%s", got, want)
			}
		})
	}
}
