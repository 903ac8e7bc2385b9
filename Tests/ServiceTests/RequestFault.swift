import FXSystem

/// What goes wrong once with one request, as a rule of the proxy.
enum RequestFault: String, CaseIterable, Sendable {
    case lostAnswer, cutRequest, cutAnswer, internalError, unavailable

    /// Every request is longer than 100 bytes, and every answer than 40, so that all of these happen.
    private static let requestOffsets: [Int64] = [0, 1, 60, 100]
    private static let answerOffsets: [Int64] = [0, 5, 40]

    /// - Parameter number: of the request, as the proxy counts them.
    func rule(at number: Int) -> JSONValue {
        .object([.init("number", .integer(Int64(number)))] + effect(at: number))
    }

    private func effect(at number: Int) -> [JSONValue.Member] {
        switch self {
        case .lostAnswer: [.init("drop_answer", true)]
        case .cutRequest: [.init("cut_request_after", .integer(RequestFault.requestOffsets[number % 4]))]
        case .cutAnswer: [.init("cut_response_after", .integer(RequestFault.answerOffsets[number % 3]))]
        case .internalError: [.init("status", 500)]
        case .unavailable: [.init("status", 503)]
        }
    }
}
