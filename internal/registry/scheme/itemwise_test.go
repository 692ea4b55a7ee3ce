package scheme_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"laterna.dev/laterna/api/projection/v1alpha1"
)

// odd are texts that encodings treat in ways of their own.
var odd = []string{
	"", "plain", "a: b", "- a", "null", "1e3", "0x1", "yes", " lead", "trail ", "<&>\u2028", "\t", "'", `"`, "#", "items: []", "\nitems: []\n",
	"two\nlines", "two\nlines\n", "\n\n", "a\r\nb", strings.Repeat("long words ", 40), strings.Repeat("x", 300), "\x01", "é", "\n  \"items\": []\n}", "---\n", "| >",
}

func oddLists() map[string]runtime.Object {
	cms := &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "bmV4dA"}}
	remaining := int64(3)
	cms.RemainingItemCount = &remaining
	for i, text := range odd {
		cms.Items = append(cms.Items, corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i), Annotations: map[string]string{text: text}},
			Data:       map[string]string{"k": text, text: "v"}, BinaryData: map[string][]byte{"b": []byte(text)},
		})
	}
	pods := &corev1.PodList{Items: make([]corev1.Pod, 3)}
	pods.Items[1].Spec.Containers = []corev1.Container{{Name: "a", Command: odd}, {Name: "b"}}
	return map[string]runtime.Object{
		"odd":      cms,
		"pods":     pods,
		"one":      &corev1.ConfigMapList{Items: cms.Items[:1]},
		"empty":    &corev1.ConfigMapList{Items: []corev1.ConfigMap{}},
		"nil":      &corev1.ConfigMapList{},
		"no list":  &cms.Items[3],
		"status":   &metav1.Status{Message: "\nitems: []\n"},
		"odd meta": &corev1.ConfigMapList{ListMeta: metav1.ListMeta{Continue: "\nitems: []\n", SelfLink: "\n  \"items\": []\n}"}, Items: cms.Items[:2]},
	}
}

// TestListsWrittenByItemAreTheSameBytes compares every encoding with the library's,
// which has the whole list in memory.
func TestListsWrittenByItemAreTheSameBytes(t *testing.T) {
	s := newScheme(t)
	whole := serializer.NewCodecFactory(s.Scheme).SupportedMediaTypes()
	for i, info := range s.Serializer("").SupportedMediaTypes() {
		encoders := map[string][2]runtime.Encoder{info.MediaType: {whole[i].Serializer, info.Serializer}}
		if info.PrettySerializer != nil {
			encoders["pretty "+info.MediaType] = [2]runtime.Encoder{whole[i].PrettySerializer, info.PrettySerializer}
		}
		for encoding, e := range encoders {
			for name, list := range oddLists() {
				t.Run(encoding+"/"+name, func(t *testing.T) {
					want, got := encode(t, e[0], list), encode(t, e[1], list)
					if want != got {
						t.Errorf("by item:\n%q\nwhole:\n%q", got, want)
					}
				})
			}
		}
	}
}

func encode(t *testing.T, encoder runtime.Encoder, obj runtime.Object) string {
	t.Helper()
	var b bytes.Buffer
	codec := serializer.NewCodecFactory(newScheme(t).Scheme).EncoderForVersion(encoder, corev1.SchemeGroupVersion)
	if err := codec.Encode(obj.DeepCopyObject(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestNoEncodingHoldsAList looks at what is handed to the connection at once.
func TestNoEncodingHoldsAList(t *testing.T) {
	s := newScheme(t)
	core, own := &corev1.SecretList{}, &v1alpha1.PodProjectionList{}
	for range 200 {
		core.Items = append(core.Items, corev1.Secret{Data: map[string][]byte{"k": make([]byte, 1000)}})
		own.Items = append(own.Items, v1alpha1.PodProjection{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"k": strings.Repeat("x", 1000)}}})
	}
	for gv, list := range map[string]runtime.Object{"": core, v1alpha1.GroupName: own} {
		for _, info := range s.Serializer(gv).SupportedMediaTypes() {
			for _, e := range []runtime.Encoder{info.Serializer, info.PrettySerializer} {
				if e == nil {
					continue
				}
				version := corev1.SchemeGroupVersion
				if gv != "" {
					version = v1alpha1.SchemeGroupVersion
				}
				w := &largest{}
				if err := s.Codecs.EncoderForVersion(e, version).Encode(list, w); err != nil {
					t.Fatal(err)
				}
				if w.total < 200*1000 || w.most > 4000 {
					t.Errorf("%s %T: %d bytes of %d at once", info.MediaType, list, w.most, w.total)
				}
			}
		}
	}
}

// largest remembers the largest write.
type largest struct{ most, total int }

func (l *largest) Write(p []byte) (int, error) {
	l.most, l.total = max(l.most, len(p)), l.total+len(p)
	return len(p), nil
}

func TestGroupsOfOursHaveNoProtobuf(t *testing.T) {
	for _, info := range newScheme(t).Serializer(v1alpha1.GroupName).SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeProtobuf {
			t.Error("protobuf is offered")
		}
	}
}

// TestWatchKeepsNothingOfAnEvent encodes a large event as the library does for a
// watch, into a buffer that stays.
func TestWatchKeepsNothingOfAnEvent(t *testing.T) {
	s := newScheme(t)
	large := &corev1.ConfigMap{Data: map[string]string{"k": strings.Repeat("x", 1<<20)}}
	for _, info := range s.Serializer("").SupportedMediaTypes() {
		if info.StreamSerializer == nil {
			continue
		}
		for _, e := range []runtime.Encoder{info.Serializer, info.StreamSerializer.Serializer} {
			memory := &counted{}
			codec := runtime.NewEncoderWithAllocator(s.Codecs.EncoderForVersion(e, corev1.SchemeGroupVersion).(runtime.EncoderWithAllocator), memory)
			buffer := &kept{splicer: runtime.NewSpliceBuffer()}
			if err := codec.Encode(large, buffer); err != nil {
				t.Fatal(err)
			}
			if got := len(buffer.Bytes()); got < 1<<20 || buffer.written > 0 || memory.allocated > 0 {
				t.Errorf("%s: of %d bytes %d stay in the watch's buffer and %d with its allocator", info.MediaType, got, buffer.written, memory.allocated)
			}
		}
	}
}

// kept counts what is copied to a watch's buffer.
type kept struct {
	splicer
	written int
}

type splicer = runtime.Splice

func (k *kept) Write(p []byte) (int, error) {
	k.written += len(p)
	return k.splicer.Write(p)
}

// counted counts what a watch's allocator is asked for.
type counted struct{ allocated uint64 }

func (c *counted) Allocate(n uint64) []byte {
	c.allocated += n
	return make([]byte, n)
}
