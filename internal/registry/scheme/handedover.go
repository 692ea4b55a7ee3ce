package scheme

import (
	"bytes"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
)

// handedOver encodes into a buffer of its own what goes to a watch, and hands that
// over. A watch has two buffers and an allocator for as long as it is open, each of
// which would stay as large as the largest event it has seen.
type handedOver struct{ runtime.Serializer }

// Encode implements runtime.Encoder.
func (h handedOver) Encode(obj runtime.Object, w io.Writer) error {
	buffer, ok := w.(runtime.Splice)
	if !ok {
		return h.Serializer.Encode(obj, w)
	}
	var encoded bytes.Buffer
	if err := h.Serializer.Encode(obj, &encoded); err != nil {
		return err
	}
	buffer.Splice(encoded.Bytes())
	return nil
}

// EncodeWithAllocator implements runtime.EncoderWithAllocator.
func (h handedOver) EncodeWithAllocator(obj runtime.Object, w io.Writer, memory runtime.MemoryAllocator) error {
	e, ok := h.Serializer.(runtime.EncoderWithAllocator)
	if _, watched := w.(runtime.Splice); watched || !ok {
		return h.Encode(obj, w)
	}
	return e.EncodeWithAllocator(obj, w, memory)
}
