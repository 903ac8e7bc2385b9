public import FXSystem
public import SystemPackage

/// What went wrong with a remote, as facts; `RemoteErrorTable.swift` makes errno, sentence and the decision to retry
/// of it.
public enum RemoteError: Error, Sendable, Equatable {
    /// A system call on the spool, the journal or a local store failed.
    case local(Errno, during: LocalStep)
    case noSuchEntry
    case noAttribute
    case exists
    /// Another writer of the same session has this name already, or is sending a file of this name.
    case nameTaken
    case notDirectory
    case isDirectory
    case directoryNotEmpty
    /// Files directly below a remote.
    case needsSession
    /// A directory in a session of a service that has none.
    case needsFlatNames
    /// A directory above sessions, or a session, that only the service itself can make.
    case madeByService
    /// Removing or replacing what is sealed or belongs to somebody else.
    case protected
    /// A change the entry's kind does not allow, such as renaming a session.
    case notSupported
    /// The service takes files and does not give them back.
    case notServed
    case sessionClosed(SessionState)
    case draining
    /// The service needs this name for itself.
    case reservedName
    /// The service cannot carry the name.
    case unrepresentableName
    case acrossSessions
    /// The entry is being sent; the rename can be tried again.
    case busy
    /// The service takes no files with this ending; empty for none at all.
    case deniedEnding(String)
    /// Longer than the service takes, in characters.
    case nameTooLong(limit: Int)
    /// nil when the service does not say where its limit is.
    case tooLarge(limit: ByteCount?)
    case quotaExceeded
    /// The service has no room.
    case serviceFull
    /// Completion was refused: these paths are drafts or failed.
    case incomplete([RelativePath])
    case invalidArgument
    case credentials
    /// There is nothing to log in with; why.
    case noSecret(String)
    case forbidden
    /// The session at the service was opened by another user.
    case belongsToAnother
    /// The service takes a value of the request for an invalid one; what it said.
    case parameterRefused(String)
    /// Header fields with underscores do not get through to the service.
    case fieldsDropped
    /// Files of this service can be read once their session is complete.
    case notReadableYet
    /// The service has not decided about the file yet; its word.
    case beingProcessed(String)
    /// The service gives the file to nobody; its words.
    case withheld(String)
    /// The service failed to look at the file; its words.
    case processingFailed(String)
    case unreachable
    case timedOut
    /// The service is overloaded or restarting and may have said when to come back.
    case unavailable(retryAfter: Duration?)
    /// TLS does not trust the server; the reason as the TLS library says it.
    case untrustedServer(String)
    /// The service wants something of the account first, which only a person can do.
    case accountNeeds(AccountStep)
    /// The service refuses what was said at this machine's time: how far its own clock is ahead, in seconds.
    case clockWrong(seconds: Int64)
    /// The service did not accept the header that says who asks, and does not say why.
    case securityRefused
    /// The service takes no file at all for this extension; its words.
    case wrongExtension(Int64, String)
    /// What is there does not know this request; its words.
    case notUnderstood(String)
    /// The service refused this file for good; its words.
    case refusedContent(String)
    /// The service has the file and did not make content of it; its words.
    case notPublished(String)
    /// The service has it and is still working on it.
    case processing(askAgain: Duration)
    /// The service may not use sessions of this type; its name.
    case sessionTypeNotLinked(String)
    /// The service has no session type of this name, or does not show it to this account.
    case sessionTypeUnknown(String)
    /// The service refused the request for good with this status; what it said, if that is text.
    case rejected(status: Int, saying: String)
    /// The answer makes no sense.
    case protocolViolation
    /// What the service holds is not what was sent.
    case verificationMismatch
    /// A change of bytes that only the service has: the spool's disk was too small to keep them.
    case passedOn
    /// The service forgot parts of an upload that the spool had given up already.
    case partsLost
    /// The bytes changed under a reader.
    case changed
    case expired
    /// The journal cannot be used.
    case journal(JournalFailure)
    /// The caller was killed or the service stopped.
    case interrupted
}

/// The step of local work a system call belonged to.
public enum LocalStep: String, Sendable {
    case spool, store, journal, recovery, cache
}

/// What a service asks of an account before it can be used.
public enum AccountStep: String, Sendable {
    case secondFactor, secondFactorSetup, passwordChange, newerClient
    /// Too many wrong passwords; it opens again by itself.
    case lockedOut
    /// A second factor, in the place of which an API key can be used.
    case apiKey
    /// Membership in exactly one group that may upload.
    case uploaderGroup
}

/// What is wrong with the journal.
public enum JournalFailure: Sendable, Equatable {
    /// An SQLite result code (sqlite.org/rescode.html), extended.
    case database(code: Int32)
    /// Written by a newer version of this program.
    case newer
    case damaged
    /// The log beside the database does not go on where the database ends.
    case otherLog
}
