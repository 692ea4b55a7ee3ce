package bounds

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

// TestPartsOfAMessageCountTogether gives the metadata in several pieces, which the
// decoder puts together.
func TestPartsOfAMessageCountTogether(t *testing.T) {
	s := runtime.NewScheme()
	if err := corev1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	encoder := protobuf.NewSerializer(s, s)
	encoded := func(pieces, finalizers int) []byte {
		var all []byte
		for i := range pieces {
			c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
			for j := range finalizers {
				c.Finalizers = append(c.Finalizers, fmt.Sprintf("e.x/%d-%d", i, j))
			}
			raw, err := c.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, raw...)
		}
		body, err := runtime.Encode(encoder, &runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Raw: all})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for _, c := range []struct {
		pieces, finalizers int
		refused            bool
	}{{1, MaxMembers, false}, {1, MaxMembers + 1, true}, {2, MaxMembers / 2, false}, {2, MaxMembers/2 + 1, true}, {9, MaxMembers, true}} {
		body := encoded(c.pieces, c.finalizers)
		var decoded corev1.ConfigMap
		if _, _, err := encoder.Decode(body, nil, &decoded); err != nil || len(decoded.Finalizers) != c.pieces*c.finalizers {
			t.Fatalf("%d finalizers, %v", len(decoded.Finalizers), err)
		}
		err := NewCounter(s).Check(runtime.ContentTypeProtobuf, schema.GroupKind{Kind: "configmaps"}, body)
		if (err != nil) != c.refused {
			t.Errorf("%d pieces of %d: %v", c.pieces, c.finalizers, err)
		}
	}
}
