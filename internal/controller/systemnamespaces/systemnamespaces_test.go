package systemnamespaces

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
)

func TestController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
		refusals := 3
		client.PrependReactor("create", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
			if refusals--; refusals >= 0 {
				return true, nil, errors.New("the store is starting")
			}
			return false, nil, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(Config{Client: client, Informers: factory, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)})
		if c.Ready() == nil {
			t.Error("ready before it runs")
		}
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(time.Second)
		if err := c.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if err := client.CoreV1().Namespaces().Delete(ctx, "kube-node-lease", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := client.CoreV1().Namespaces().Get(ctx, "kube-node-lease", metav1.GetOptions{}); err != nil {
			t.Errorf("after its deletion: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
