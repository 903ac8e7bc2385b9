internal import FXSystem

/// One finding of `fxmount doctor`.
struct Check: Sendable, Equatable {
    enum Result: String, Sendable { case ok, warn, fail }

    var name: String
    var result: Result
    var message: String
    /// What to do; nil when all is well.
    var remedy: String?

    static func ok(_ name: String, _ message: String) -> Check { Check(name: name, result: .ok, message: message) }
    static func warn(_ name: String, _ message: String, _ remedy: String) -> Check {
        Check(name: name, result: .warn, message: message, remedy: remedy)
    }
    static func fail(_ name: String, _ message: String, _ remedy: String) -> Check {
        Check(name: name, result: .fail, message: message, remedy: remedy)
    }

    var json: JSONValue {
        [
            "check": .string(name), "result": .string(result.rawValue), "message": .string(message),
            "remedy": .text(remedy),
        ]
    }
}
