package diskroom

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/host/reserve"
)

// with is a pod with one container that has so much on the disk.
func with(name string, request string, u use) *taken {
	pod := &corev1.Pod{}
	pod.Name = name
	pod.Spec.Containers = []corev1.Container{{Name: "c"}}
	if request != "" {
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(request)}
	}
	return &taken{Pod: Pod{Pod: pod}, sum: u, containers: map[string]use{"c": u}}
}

func TestPodThatHasMostBeyondItsRequestIsEvicted(t *testing.T) {
	asked := with("asked", "400Mi", use{300 << 20, 900})
	most := with("most", "", use{200 << 20, 10})
	files := with("files", "", use{2 << 20, 5000})
	little := with("little", "", use{1 << 10, 3})
	critical := with("critical", "", use{500 << 20, 9000})
	priority := int32(2_000_000_000)
	critical.Spec.Priority = &priority
	ended := with("ended", "", use{600 << 20, 9000})
	ended.Ended = true
	all := []*taken{little, asked, files, most, critical, ended}

	wanted := reserve.Amount{Bytes: 30 << 20, Files: 100}
	bytes := shortOf(machine.Room{Bytes: 5000, AllBytes: 600 << 20, Inodes: 500, AllInodes: 1000}, wanted)
	if got := bytes.mostOver(all); got != most {
		t.Errorf("short of bytes: %+v", got)
	}
	const say = "The node was low on resource: ephemeral-storage. Threshold quantity: 30Mi, available: 4Ki. Container c was using 200Mi, request is 0, has larger consumption of ephemeral-storage. "
	if got := bytes.message(most); got != say {
		t.Errorf("%q", got)
	}
	inodes := shortOf(machine.Room{Bytes: 100 << 20, AllBytes: 600 << 20, Inodes: 3, AllInodes: 10000}, wanted)
	if got := inodes.mostOver(all); got != files {
		t.Errorf("short of inodes: %+v", got)
	}
	const few = "The node was low on resource: inodes. Threshold quantity: 100, available: 3. Container c was using 5k, request is 0, has larger consumption of inodes. "
	if got := inodes.message(files); got != few {
		t.Errorf("%q", got)
	}
	if got := bytes.mostOver([]*taken{little, asked, critical, ended}); got != nil {
		t.Errorf("%s is evicted, which has not taken the disk", got.Name)
	}
}
