package campaign

import "github.com/sessionkv/session"

// repository is the path of the repository.
const repository = "../.."

const (
	user   = session.Key[string]("user")
	visits = session.Key[int]("visits")
)
