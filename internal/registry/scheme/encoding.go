package scheme

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// StorageType is the media type in which objects of a group are stored.
func StorageType(group string) string {
	if ours[group] {
		return runtime.ContentTypeJSON
	}
	return runtime.ContentTypeProtobuf
}

// Serializer returns the encodings that clients may choose from for a group. A client
// that would rather have protobuf than JSON gets JSON where there is no other, as it
// does for custom resources.
func (s *Scheme) Serializer(group string) runtime.NegotiatedSerializer {
	if ours[group] {
		return withoutProtobuf{s.Codecs}
	}
	return s.Codecs
}

type withoutProtobuf struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (w withoutProtobuf) SupportedMediaTypes() []runtime.SerializerInfo {
	return slices.DeleteFunc(slices.Clone(w.NegotiatedSerializer.SupportedMediaTypes()), func(i runtime.SerializerInfo) bool {
		return i.MediaType == runtime.ContentTypeProtobuf
	})
}
