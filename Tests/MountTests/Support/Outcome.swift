import CSyscalls
import Glibc
import Testing

/// What a system call answered: success, or one errno. Prints as the errno's name, so a failed expectation reads as it
/// should.
struct Outcome: Equatable, Hashable, CustomStringConvertible, Sendable {
    var number: Int32

    init(_ result: Int) { number = result < 0 ? Int32(-result) : 0 }
    init(errno number: Int32) { self.number = number }

    static let ok = Outcome(errno: 0)
    static let notPermitted = Outcome(errno: EPERM)
    static let readOnly = Outcome(errno: EROFS)
    static let invalid = Outcome(errno: EINVAL)
    static let noEntry = Outcome(errno: ENOENT)
    static let exists = Outcome(errno: EEXIST)
    static let noSpace = Outcome(errno: ENOSPC)
    static let accessDenied = Outcome(errno: EACCES)
    static let notSupported = Outcome(errno: EOPNOTSUPP)
    static let noDevice = Outcome(errno: ENXIO)
    static let crossDevice = Outcome(errno: EXDEV)

    var succeeded: Bool { number == 0 }
    var description: String { number == 0 ? "ok" : String(cString: cs_errno_name(number)) }
}

/// A call that had to succeed and did not.
struct CallFailed: Error, CustomStringConvertible {
    let call: String
    let outcome: Outcome
    var description: String { "\(call): \(outcome)" }
}

/// Stops the test with what was found instead of what was needed.
struct TestStopped: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Like `#expect`, for conditions on whole file contents: a failure names the line and the comment, not a megabyte of
/// bytes.
func demand(_ condition: Bool, _ comment: @autoclosure () -> String = "", location: SourceLocation = #_sourceLocation) {
    if !condition { Issue.record("not as promised: \(comment())", sourceLocation: location) }
}
