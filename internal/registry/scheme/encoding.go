package scheme

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// StorageType is the media type in which objects of a group are stored.
func (s *Scheme) StorageType(group string) string {
	if s.jsonOnly[group] {
		return runtime.ContentTypeJSON
	}
	return runtime.ContentTypeProtobuf
}

// newCodecs returns encodings that write a list item by item, KEP-5116.
func newCodecs(s *runtime.Scheme) serializer.CodecFactory {
	return serializer.NewCodecFactory(s, serializer.WithStreamingCollectionEncodingToJSON(), serializer.WithStreamingCollectionEncodingToProtobuf())
}

// Serializer returns the encodings that clients may choose from for a group. All of
// them write a list item by item, and leave nothing of an event with the watch that
// has sent it. A client that would rather have protobuf than JSON
// gets JSON where there is no other, as it does for custom resources.
func (s *Scheme) Serializer(group string) runtime.NegotiatedSerializer {
	var accepted []runtime.SerializerInfo
	for _, info := range s.Codecs.SupportedMediaTypes() {
		if stream := info.StreamSerializer; stream != nil {
			info.Serializer = handedOver{info.Serializer}
			info.StreamSerializer = &runtime.StreamSerializerInfo{EncodesAsText: stream.EncodesAsText, Serializer: handedOver{stream.Serializer}, Framer: stream.Framer}
		}
		if info.MediaType == runtime.ContentTypeYAML {
			info.Serializer = itemwise{info.Serializer, yamlForm}
		}
		if info.PrettySerializer != nil {
			info.PrettySerializer = itemwise{info.PrettySerializer, prettyForm}
		}
		accepted = append(accepted, info)
	}
	if s.jsonOnly[group] {
		accepted = slices.DeleteFunc(accepted, func(i runtime.SerializerInfo) bool { return i.MediaType == runtime.ContentTypeProtobuf })
	}
	return offered{s.Codecs, accepted}
}

// offered is a choice of encodings.
type offered struct {
	runtime.NegotiatedSerializer
	accepted []runtime.SerializerInfo
}

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (o offered) SupportedMediaTypes() []runtime.SerializerInfo { return o.accepted }
