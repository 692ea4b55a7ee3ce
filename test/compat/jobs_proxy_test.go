package compat

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const myJob = `
apiVersion: batch/v1
kind: Job
metadata:
  name: my-job
spec:
  template:
    spec:
      restartPolicy: OnFailure
      containers:
      - name: main
        image: busybox:1.28
        command: [sh, -c, "sleep 1; echo done"]
`

// TestB2JobsThroughKubectlProxy explores the API as the document does, with curl, and has
// the Job run to its end; then through `laterna proxy`.
func TestB2JobsThroughKubectlProxy(t *testing.T) {
	s := &stage{system: shared, ns: "default", client: shared.client(t)}
	s.apply(t, "default", myJob)
	t.Cleanup(func() {
		s.sh(t, "kubectl delete job my-job --wait=false --cascade=background; kubectl delete pods -l job-name=my-job --wait=false")
	})
	s.explores(t, s.proxy(t, "--port=0"))
	s.explores(t, s.serves(t, "laterna", "proxy", "--data-dir", s.Dir, "--port=0"))
}

// explores reads what the document reads through a proxy.
func (s *stage) explores(t *testing.T, address string) {
	t.Helper()
	curl := func(path string, into any) {
		t.Helper()
		out := s.sh(t, "curl -s --fail http://"+address+path)
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, out)
		}
	}
	var paths metav1.RootPaths
	curl("/", &paths)
	for _, want := range []string{"/api", "/api/v1", "/apis", "/apis/batch", "/apis/batch/v1", "/healthz"} {
		if !slices.Contains(paths.Paths, want) {
			t.Errorf("paths %q lack %s", paths.Paths, want)
		}
	}
	versions(t, http.DefaultClient, address)
	var group metav1.APIGroup
	curl("/apis/batch", &group)
	if group.Kind != "APIGroup" || group.Name != "batch" || group.PreferredVersion.GroupVersion != "batch/v1" {
		t.Errorf("group %+v", group)
	}
	var resources metav1.APIResourceList
	curl("/apis/batch/v1", &resources)
	verbs := map[string]string{}
	for _, r := range resources.APIResources {
		verbs[r.Name] = strings.Join(r.Verbs, " ")
	}
	if verbs["jobs"] != "create delete deletecollection get list patch update watch" || verbs["jobs/status"] != "get patch update" ||
		verbs["cronjobs"] != verbs["jobs"] || verbs["cronjobs/status"] != verbs["jobs/status"] {
		t.Errorf("resources %v", verbs)
	}
	s.sh(t, "kubectl wait --for=condition=Complete --timeout=45s job/my-job")
	if log := s.sh(t, "kubectl logs job/my-job"); log != "done\n" {
		t.Errorf("the job says %q", log)
	}
	var list batchv1.JobList
	curl("/apis/batch/v1/jobs", &list)
	if list.Kind != "JobList" || !slices.ContainsFunc(list.Items, func(j batchv1.Job) bool { return j.Name == "my-job" && j.Namespace == "default" }) {
		t.Errorf("list %+v", list)
	}
	var direct, printed map[string]any
	curl("/apis/batch/v1/namespaces/default/jobs/my-job", &direct)
	if err := json.Unmarshal([]byte(s.sh(t, "kubectl get job my-job -o json --show-managed-fields")), &printed); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(direct, printed) {
		t.Errorf("curl shows\n%v\nkubectl\n%v", direct, printed)
	}
	matches(t, s.sh(t, "kubectl get job my-job"), `NAME +STATUS +COMPLETIONS +DURATION +AGE`, `my-job +Complete +1/1 +[0-9]+s +[0-9]+s`)
	matches(t, s.sh(t, "kubectl describe job my-job"), `Name: +my-job`, `Pods Statuses: +0 Active \(0 Ready\) / 1 Succeeded / 0 Failed`, ` +Normal +SuccessfulCreate +\S+ +job-controller +Created pod: my-job-.*`, ` +Normal +Completed +\S+ +job-controller +Job completed`)
}
