package ttlafterfinished

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func job(name string, ttl *int32, how batchv1.JobConditionType, end time.Time) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "u"}, Spec: batchv1.JobSpec{TTLSecondsAfterFinished: ttl}}
	if how != "" {
		j.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(end)}}
	}
	return j
}

func TestJobsGoAfterTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		client := fake.NewClientset(
			job("at-once", new(int32(0)), batchv1.JobComplete, now), job("later", new(int32(3600)), batchv1.JobFailed, now),
			job("stays", nil, batchv1.JobComplete, now), job("runs", new(int32(0)), "", now), job("suspended", new(int32(0)), batchv1.JobSuspended, now),
			job("prolonged", new(int32(3600)), batchv1.JobComplete, now),
		)
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		api := clock.New(clock.Real())
		c := New(Config{Env: env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)}, Clock: api})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		left := func(want ...string) {
			t.Helper()
			time.Sleep(time.Second)
			all, err := client.BatchV1().Jobs("ns").List(ctx, metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, j := range all.Items {
				got = append(got, j.Name)
			}
			if len(got) != len(want) {
				t.Errorf("left are %v, want %v", got, want)
			}
		}
		left("later", "stays", "runs", "suspended", "prolonged")
		if _, err := client.BatchV1().Jobs("ns").Update(ctx, job("prolonged", new(int32(7200)), batchv1.JobComplete, now), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		api.SetOffset(30 * time.Minute)
		left("later", "stays", "runs", "suspended", "prolonged")
		api.SetOffset(time.Hour)
		left("stays", "runs", "suspended", "prolonged")
		api.SetOffset(2 * time.Hour)
		left("stays", "runs", "suspended")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
