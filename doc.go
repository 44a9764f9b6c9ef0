// Package session adds sessions to net/http handlers. It keeps them in Redis, so that every node of a deployment sees the
// same ones.
//
//	store, err := redisstore.Open("redis://127.0.0.1:6379", redisstore.Options{})
//	...
//	sessions, err := session.New(session.Config{Store: store})
//	...
//	http.ListenAndServe(addr, sessions.Handler(mux))
//
// [Manager.Handler] has the type that routers call a middleware, func(http.Handler) http.Handler. In a handler, [Load]
// returns the session of the request, and a [Key] reads and writes one of its values:
//
//	const visits = session.Key[int]("visits")
//
//	s, err := session.Load(r.Context())
//	...
//	err = visits.Update(s, func(n int) int { return n + 1 })
//
// A session is one JSON object. It is stored whole, under one key with a time to live. A request that uses its session
// gets the latest value from the store. A request that has changed its session writes it back before the first byte of
// the response leaves. A request that does not touch its session costs no command.
//
// # Signing in
//
// [Session.SignIn] makes a session that of a user, in one call. [Session.User] tells who the user is, and
// [Session.Destroy] signs out. [Manager.List], [Manager.End] and [Manager.EndAll] show and end the sessions of a user on
// all devices:
//
//	stamp, err := sessions.Stamp(r.Context(), name) // before the password is read
//	...
//	err = s.SignIn(session.SignIn{User: name, Class: session.Remembered, Stamp: stamp})
//
// # What holds
//
//   - No update is lost: two overlapping requests that write different keys both succeed, on one node or on two.
//   - No ended session comes back: a slow request does not revive a session that was destroyed, ended or expired
//     meanwhile. What the request has changed is dropped and logged, and [Session.Sync] tells the handler.
//   - No session escapes: when EndAll has returned, no session that the user had can be used, whatever its requests do.
//   - No failure is silent: a save that fails becomes an error response, and a change that can no longer reach the client
//     is an error of the call that made it.
//
// # Security
//
// The cookie holds a random token that the store does not know. The session's key is made of the token's hash, so that
// nobody can sign in with what is in the store, its dumps or the logs. A token that leads to no session is never adopted.
// The cookie is HttpOnly, Secure and SameSite=Lax, and its name has the prefix __Host-, unless the [Cookie] says
// otherwise.
//
// The application has to do the rest: check the credential before it calls SignIn, call Destroy when the user signs out,
// call EndAll or [Session.EndOthers] when the credential has changed, defend against cross-site requests (see
// [http.CrossOriginProtection]), and serve over HTTPS.
package session
