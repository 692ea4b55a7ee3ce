package memory_test

import (
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/iam/iamtest"
	"laterna.dev/laterna/internal/aws/iam/memory"
)

func TestStoreInMemory(t *testing.T) {
	iamtest.Suite(t, memory.New(time.Now), "111122223333", "444455556666")
}
