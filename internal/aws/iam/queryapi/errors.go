package queryapi

import (
	"errors"
	"net/http"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

func noSuchEntity(format string, args ...any) error {
	return query.Refuse(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func alreadyExists(format string, args ...any) error {
	return query.Refuse(http.StatusConflict, "EntityAlreadyExists", format, args...)
}

func deleteConflict(text string) error {
	return query.Refuse(http.StatusConflict, "DeleteConflict", "%s", text)
}

func limitExceeded(format string, args ...any) error {
	return query.Refuse(http.StatusConflict, "LimitExceeded", format, args...)
}

func invalidInput(text string) error {
	return query.Refuse(http.StatusBadRequest, "InvalidInput", "%s", text)
}

// errARN is the answer to what is no ARN, blanks and all.
func errARN() error { return query.Invalid("Invalid ARN:  Could not be parsed!") }

// refusal makes of errors of the store and of policies what AWS answers.
func refusal(err error) error {
	var malformed *policy.Malformed
	switch {
	case errors.As(err, &malformed):
		return query.Refuse(http.StatusBadRequest, policy.Code, "%s", malformed.Message)
	case errors.Is(err, iam.ErrInvalid): // what was checked before has changed meanwhile
		return query.Invalid("%v", err)
	case errors.Is(err, iam.ErrConflict):
		return query.Refuse(http.StatusConflict, "ConcurrentModification",
			"The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again.")
	}
	return err
}

// instead returns another error for one of the store.
func instead(err, of, answer error) error {
	if errors.Is(err, of) {
		return answer
	}
	return err
}
