package admission

import (
	"context"

	"k8s.io/apiserver/pkg/admission"
)

// twice is a chain that admits an object again where a plugin has changed it and asks for
// that: those before it have not seen what it is now. There is no third time. The plugins
// of the library do so to be asked again by each other (reinvocationPolicy).
type twice struct{ chain admission.Interface }

var (
	_ admission.MutationInterface   = twice{}
	_ admission.ValidationInterface = twice{}
)

// Handles implements admission.Interface.
func (t twice) Handles(operation admission.Operation) bool { return t.chain.Handles(operation) }

// Admit implements admission.MutationInterface.
func (t twice) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	chain, ok := t.chain.(admission.MutationInterface)
	if !ok {
		return nil
	}
	if err := chain.Admit(ctx, a, o); err != nil {
		return err
	}
	again := a.GetReinvocationContext()
	if !again.ShouldReinvoke() {
		return nil
	}
	again.SetIsReinvoke()
	return chain.Admit(ctx, a, o)
}

// Validate implements admission.ValidationInterface.
func (t twice) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if chain, ok := t.chain.(admission.ValidationInterface); ok {
		return chain.Validate(ctx, a, o)
	}
	return nil
}
