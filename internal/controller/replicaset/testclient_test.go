package replicaset

import (
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
)

// newClient is a client that names pods, as a server does.
func newClient(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	var made atomic.Int32
	client.PrependReactor("create", "pods", func(a kubetesting.Action) (bool, runtime.Object, error) {
		if p, ok := a.(kubetesting.CreateAction).GetObject().(*corev1.Pod); ok && p.Name == "" {
			p.Name = fmt.Sprintf("%s%05d", p.GenerateName, made.Add(1))
			p.UID = types.UID(p.Name)
		}
		return false, nil, nil
	})
	return client
}
