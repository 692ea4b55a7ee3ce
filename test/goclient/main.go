// Package main does in a namespace what the catalogue's row B8 says, with client-go: in a pod
// by what is mounted there, else by the kubeconfig. The clients of other languages are in
// test/tools/clients.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const name = "programmatically-created-pod"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	list, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	fmt.Println("listed", len(list.Items))
	pods := client.CoreV1().Pods(namespace)
	created, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64),
			Containers:                    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"sleep", "99999"}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	fmt.Println("created", created.Name)
	events, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: created.ResourceVersion})
	if err != nil {
		return err
	}
	defer events.Stop()
	steps := map[string]bool{}
	for e := range events.ResultChan() {
		if e.Type == watch.Deleted {
			fmt.Println("deleted", name)
			return nil
		}
		if err := follow(ctx, pods, e, steps); err != nil {
			return err
		}
	}
	return fmt.Errorf("the watch ended: %w", context.Cause(ctx))
}

// follow labels the pod when it runs, and deletes it when it has the label.
func follow(ctx context.Context, pods typedcorev1.PodInterface, e watch.Event, steps map[string]bool) error {
	pod, ok := e.Object.(*corev1.Pod)
	switch {
	case !ok:
		return fmt.Errorf("event %v", e)
	case pod.Labels["foo"] == "bar" && !steps["labelled"]:
		steps["labelled"] = true
		fmt.Println("labelled foo=bar")
		return pods.Delete(ctx, name, metav1.DeleteOptions{})
	case pod.Status.Phase == corev1.PodRunning && !steps["running"]:
		steps["running"] = true
		fmt.Println("running", pod.Status.PodIP)
		_, err := pods.Patch(ctx, name, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"foo":"bar"}}}`), metav1.PatchOptions{})
		return err
	}
	return nil
}
