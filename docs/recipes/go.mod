module github.com/sessionkv/session/docs/recipes

go 1.25.0

require (
	github.com/sessionkv/session v0.0.0
	golang.org/x/oauth2 v0.36.0
)

require github.com/google/uuid v1.6.0 // indirect

replace github.com/sessionkv/session => ../..
