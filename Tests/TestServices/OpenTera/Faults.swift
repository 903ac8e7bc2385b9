import FXSystem

/// Something that goes wrong with the next requests that fit.
struct Fault: Sendable {
    var method: String?
    /// The beginning of the path.
    var path: String?
    /// Requests that fit and still go well, before the first that does not.
    var skip = 0
    /// How many go wrong.
    var times = 1
    /// Answered in the place of the real answer.
    var status: Int?
    /// The request is carried out all the same, and its answer lost.
    var isPerformed = false
    /// It is carried out, but only so long after the answer, in milliseconds.
    var lateMilliseconds = 0
    var delayMilliseconds = 0
    /// The connection is reset instead of an answer, after the body was read.
    var resets = false
    /// No answer, until the client goes away.
    var stalls = false

    init(_ json: JSONValue) throws(ControlError) {
        for member in json.members ?? [] {
            switch (member.key, member.value) {
            case ("method", .string(let text)): method = text
            case ("path", .string(let text)): path = text
            case ("skip", .integer(let number)): skip = Int(number)
            case ("times", .integer(let number)): times = Int(number)
            case ("status", .integer(let number)): status = Int(number)
            case ("performed", .bool(let value)): isPerformed = value
            case ("late_milliseconds", .integer(let number)): lateMilliseconds = Int(number)
            case ("delay_milliseconds", .integer(let number)): delayMilliseconds = Int(number)
            case ("reset", .bool(let value)): resets = value
            case ("stall", .bool(let value)): stalls = value
            default: throw ControlError("no such part of a fault, or not of its type: \(member.key)")
            }
        }
    }

    func fits(_ call: Call) -> Bool {
        (method == nil || method == call.method) && (path.map { call.path.hasPrefix($0) } ?? true)
    }

    /// Only late: nothing else is wrong with it.
    var isHarmless: Bool { status == nil && !resets && !stalls }
}

extension OpenTeraState {
    /// The fault of this request, if there is one; it is used up.
    mutating func takeFault(_ call: Call) -> Fault? {
        for index in faults.indices where faults[index].fits(call) {
            if faults[index].skip > 0 {
                faults[index].skip -= 1
                continue
            }
            let fault = faults[index]
            faults[index].times -= 1
            if faults[index].times <= 0 { faults.remove(at: index) }
            return fault
        }
        return nil
    }
}
