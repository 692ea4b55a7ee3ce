package storageclass

import (
	storagev1 "k8s.io/api/storage/v1"

	"laterna.dev/laterna/internal/registry/resource"
)

// defaultAnnotations mark the class of claims that name none.
var defaultAnnotations = []string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"}

func columns() resource.Columns[*class] {
	doc := storagev1.StorageClass{}.SwaggerDoc()
	return resource.Columns[*class]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Provisioner", Type: "string", Description: doc["provisioner"]},
			{Name: "ReclaimPolicy", Type: "string", Description: doc["reclaimPolicy"]},
			{Name: "VolumeBindingMode", Type: "string", Description: doc["volumeBindingMode"]},
			{Name: "AllowVolumeExpansion", Type: "string", Description: doc["allowVolumeExpansion"]},
			resource.AgeColumn(),
		},
		Row: func(c *class) []any {
			policy, mode, expands := "Delete", "<unset>", false
			if c.ReclaimPolicy != nil {
				policy = string(*c.ReclaimPolicy)
			}
			if c.VolumeBindingMode != nil {
				mode = string(*c.VolumeBindingMode)
			}
			if c.AllowVolumeExpansion != nil {
				expands = *c.AllowVolumeExpansion
			}
			return []any{Marked(c.Name, c.Annotations, defaultAnnotations...), c.Provisioner, policy, mode, expands, resource.Age(c)}
		},
	}
}

// Marked is the name of a class, with a mark where an annotation says that it is the
// default.
func Marked(name string, annotations map[string]string, marks ...string) string {
	for _, mark := range marks {
		if annotations[mark] == "true" {
			return name + " (default)"
		}
	}
	return name
}
