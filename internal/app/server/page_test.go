package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/test/page"
)

// TestPageOfKinds holds docs/honoured.md to what a server serves.
func TestPageOfKinds(t *testing.T) {
	_, lists, err := begin(t).admin.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, list := range lists {
		for _, r := range list.APIResources {
			if strings.Contains(r.Name, "/") {
				continue
			}
			rows = append(rows, kindRow(list, r))
		}
	}
	slices.Sort(rows)
	page.Hold(t, "docs/honoured.md", "kinds", "| API | kind | resource | verbs | below it |\n|---|---|---|---|---|\n"+strings.Join(rows, ""))
}

// kindRow is a kind's row, with its subresources.
func kindRow(list *metav1.APIResourceList, r metav1.APIResource) string {
	var below []string
	for _, other := range list.APIResources {
		if name, ok := strings.CutPrefix(other.Name, r.Name+"/"); ok {
			below = append(below, "`"+name+"`")
		}
	}
	slices.Sort(below)
	names, verbs := append([]string{r.Name}, r.ShortNames...), strings.Join(r.Verbs, ", ")
	if verbs == "create, delete, deletecollection, get, list, patch, update, watch" {
		verbs = "all"
	}
	return fmt.Sprintf("| %s | %s | `%s` | %s | %s |\n", list.GroupVersion, r.Kind, strings.Join(names, "`, `"), verbs, strings.Join(below, ", "))
}
