"""The venue's error codes as data: name, class and texts of each one, and what a code says about the outcome of a request.

Codes are universal, texts vary (`seeds/004`, "Error Codes"; later ones from protocol.md 9). The bot decides by the class alone;
the venue prints the texts. What a code that stands in no table means depends on the status beside it: `wire.rest.outcome_class`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs


class CodeClass(Enum):
    """What the sender of a request has to do about a code (design.md 10)."""

    REJECT = "definite reject"
    UNKNOWN = "unknown outcome"
    BACK_OFF = "back off"
    CLOCK = "resync clock"
    LOG_ON = "log on again"
    RISK_MODE = "risk mode"
    OUR_BUG = "bug of the bot"
    FATAL = "fatal"
    #: Not there (any more): expected when a cancel meets a fill, weak evidence when a query meets it.
    GONE = "gone"
    #: The id exists already: evidence that an order of ours was accepted.
    DUPLICATE = "duplicate"
    #: The venue already is in the state that was asked for.
    ALREADY_SO = "already so"

    @property
    def definite(self) -> bool:
        """Whether an order that met this code has certainly not been accepted."""
        return self not in (CodeClass.UNKNOWN, CodeClass.DUPLICATE)


@attrs.frozen
class Code:
    """One error code. `texts` are the venue's, the shortest form first; `%s` stands for what the venue fills in."""

    number: int
    name: str
    kind: CodeClass
    texts: tuple[str, ...]

    def text(self, *parts: object, variant: int | None = None) -> str:
        """The text number `variant`, or else the first one with as many blanks as `parts`, filled in."""
        fitting = self.texts if variant is None else self.texts[variant:]
        for text in fitting:
            if text.count("%s") == len(parts):
                return text % parts
        return fitting[0]


def classify(number: int) -> CodeClass:
    """The class of a code; `UNKNOWN` for one that no table knows, as long as its status is not known."""
    code = CODES.get(number)
    return code.kind if code else CodeClass.UNKNOWN


def describe(number: int) -> str:
    """Name of a code for people: `-2011 CANCEL_REJECTED`."""
    code = CODES.get(number)
    return f"{number} {code.name}" if code else f"{number} (not in the table)"


def _(number: int, name: str, kind: CodeClass, *texts: str) -> Code:
    return Code(number, name, kind, texts)


REJECT, UNKNOWN, BACK_OFF, CLOCK = CodeClass.REJECT, CodeClass.UNKNOWN, CodeClass.BACK_OFF, CodeClass.CLOCK
LOG_ON, RISK_MODE, OUR_BUG, FATAL = CodeClass.LOG_ON, CodeClass.RISK_MODE, CodeClass.OUR_BUG, CodeClass.FATAL
GONE, DUPLICATE, ALREADY_SO = CodeClass.GONE, CodeClass.DUPLICATE, CodeClass.ALREADY_SO

# One row per code, in the order of the seeds.
# fmt: off
_TABLE: Final = (
    _(-1000, "UNKNOWN", UNKNOWN, "An unknown error occured while processing the request."),
    _(-1001, "DISCONNECTED", BACK_OFF, "Internal error; unable to process your request. Please try again."),
    _(-1002, "UNAUTHORIZED", FATAL, "You are not authorized to execute this request."),
    _(-1003, "TOO_MANY_REQUESTS", BACK_OFF, "Too many requests; current limit is %s requests per minute. Please use the websocket for live updates to avoid polling the API.", "Way too many requests; IP banned until %s. Please use the websocket for live updates to avoid bans."),
    _(-1004, "DUPLICATE_IP", FATAL, "This IP is already on the white list"),
    _(-1005, "NO_SUCH_IP", FATAL, "No such IP has been white listed"),
    _(-1006, "UNEXPECTED_RESP", UNKNOWN, "An unexpected response was received from the message bus. Execution status unknown."),
    _(-1007, "TIMEOUT", UNKNOWN, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    _(-1008, "REQUEST_THROTTLED", BACK_OFF, "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again.", "Server is currently overloaded with other requests. Please try again in a few minutes."),
    _(-1010, "ERROR_MSG_RECEIVED", OUR_BUG, "ERROR_MSG_RECEIVED."),
    _(-1011, "NON_WHITE_LIST", FATAL, "This IP cannot access this route."),
    _(-1013, "INVALID_MESSAGE", OUR_BUG, "INVALID_MESSAGE."),
    _(-1014, "UNKNOWN_ORDER_COMPOSITION", OUR_BUG, "Unsupported order combination."),
    _(-1015, "TOO_MANY_ORDERS", BACK_OFF, "Too many new orders.", "Too many new orders; current limit is %s orders per %s."),
    _(-1016, "SERVICE_SHUTTING_DOWN", UNKNOWN, "This service is no longer available."),
    _(-1020, "UNSUPPORTED_OPERATION", OUR_BUG, "This operation is not supported."),
    _(-1021, "INVALID_TIMESTAMP", CLOCK, "Timestamp for this request is outside of the recvWindow.", "Timestamp for this request was 1000ms ahead of the server's time."),
    _(-1022, "INVALID_SIGNATURE", FATAL, "Signature for this request is not valid."),
    _(-1023, "START_TIME_GREATER_THAN_END_TIME", OUR_BUG, "Start time is greater than end time."),
    _(-1099, "NOT_FOUND", OUR_BUG, "Not found, unauthenticated, or unauthorized."),
    _(-1100, "ILLEGAL_CHARS", OUR_BUG, "Illegal characters found in a parameter.", "Illegal characters found in parameter '%s'; legal range is '%s'."),
    _(-1101, "TOO_MANY_PARAMETERS", OUR_BUG, "Too many parameters sent for this endpoint.", "Too many parameters; expected '%s' and received '%s'.", "Duplicate values for a parameter detected."),
    _(-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED", OUR_BUG, "A mandatory parameter was not sent, was empty/null, or malformed.", "Mandatory parameter '%s' was not sent, was empty/null, or malformed.", "Param '%s' or '%s' must be sent, but both were empty/null!"),
    _(-1103, "UNKNOWN_PARAM", OUR_BUG, "An unknown parameter was sent."),
    _(-1104, "UNREAD_PARAMETERS", OUR_BUG, "Not all sent parameters were read.", "Not all sent parameters were read; read '%s' parameter(s) but was sent '%s'."),
    _(-1105, "PARAM_EMPTY", OUR_BUG, "A parameter was empty.", "Parameter '%s' was empty."),
    _(-1106, "PARAM_NOT_REQUIRED", OUR_BUG, "A parameter was sent when not required.", "Parameter '%s' sent when not required."),
    _(-1108, "BAD_ASSET", OUR_BUG, "Invalid asset."),
    _(-1109, "BAD_ACCOUNT", OUR_BUG, "Invalid account."),
    _(-1110, "BAD_INSTRUMENT_TYPE", OUR_BUG, "Invalid symbolType."),
    _(-1111, "BAD_PRECISION", OUR_BUG, "Precision is over the maximum defined for this asset."),
    _(-1112, "NO_DEPTH", REJECT, "No orders on book for symbol."),
    _(-1113, "WITHDRAW_NOT_NEGATIVE", OUR_BUG, "Withdrawal amount must be negative."),
    _(-1114, "TIF_NOT_REQUIRED", OUR_BUG, "TimeInForce parameter sent when not required."),
    _(-1115, "INVALID_TIF", OUR_BUG, "Invalid timeInForce."),
    _(-1116, "INVALID_ORDER_TYPE", OUR_BUG, "Invalid orderType."),
    _(-1117, "INVALID_SIDE", OUR_BUG, "Invalid side."),
    _(-1118, "EMPTY_NEW_CL_ORD_ID", OUR_BUG, "New client order ID was empty."),
    _(-1119, "EMPTY_ORG_CL_ORD_ID", OUR_BUG, "Original client order ID was empty."),
    _(-1120, "BAD_INTERVAL", OUR_BUG, "Invalid interval."),
    _(-1121, "BAD_SYMBOL", REJECT, "Invalid symbol."),
    _(-1122, "INVALID_SYMBOL_STATUS", REJECT, "Invalid symbol status."),
    _(-1125, "INVALID_LISTEN_KEY", REJECT, "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`"),
    _(-1126, "ASSET_NOT_SUPPORTED", OUR_BUG, "This asset is not supported."),
    _(-1127, "MORE_THAN_XX_HOURS", OUR_BUG, "Lookup interval is too big.", "More than %s hours between startTime and endTime."),
    _(-1128, "OPTIONAL_PARAMS_BAD_COMBO", OUR_BUG, "Combination of optional parameters invalid."),
    _(-1130, "INVALID_PARAMETER", OUR_BUG, "Invalid data sent for a parameter.", "Data sent for parameter '%s' is not valid."),
    _(-1136, "INVALID_NEW_ORDER_RESP_TYPE", OUR_BUG, "Invalid newOrderRespType."),
    _(-2007, "INVALID_CALLBACK_RATE", REJECT, "Invalid callBack rate."),
    _(-2008, "UNKNOWN_API_KEY", FATAL, "Invalid Api-Key ID."),
    _(-2010, "NEW_ORDER_REJECTED", REJECT, "NEW_ORDER_REJECTED"),
    _(-2011, "CANCEL_REJECTED", GONE, "Unknown order sent.", "CANCEL_REJECTED"),
    _(-2012, "CANCEL_ALL_FAIL", REJECT, "Batch cancel failure."),
    _(-2013, "NO_SUCH_ORDER", GONE, "Order does not exist."),
    _(-2014, "BAD_API_KEY_FMT", FATAL, "API-key format invalid."),
    _(-2015, "REJECTED_MBX_KEY", LOG_ON, "Invalid API-key, IP, or permissions for action."),
    _(-2016, "NO_TRADING_WINDOW", REJECT, "No trading window could be found for the symbol. Try ticker/24hrs instead."),
    _(-2017, "API_KEYS_LOCKED", FATAL, "API Keys are locked on this account."),
    _(-2018, "BALANCE_NOT_SUFFICIENT", REJECT, "Balance is insufficient."),
    _(-2019, "MARGIN_NOT_SUFFICIEN", REJECT, "Margin is insufficient."),
    _(-2020, "UNABLE_TO_FILL", REJECT, "Unable to fill."),
    _(-2021, "ORDER_WOULD_IMMEDIATELY_TRIGGER", REJECT, "Order would immediately trigger."),
    _(-2022, "REDUCE_ONLY_REJECT", REJECT, "ReduceOnly Order is rejected."),
    _(-2023, "USER_IN_LIQUIDATION", REJECT, "User in liquidation mode now."),
    _(-2024, "POSITION_NOT_SUFFICIENT", REJECT, "Position is not sufficient."),
    _(-2025, "MAX_OPEN_ORDER_EXCEEDED", REJECT, "Reach max open order limit."),
    _(-2026, "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED", REJECT, "This OrderType is not supported when reduceOnly."),
    _(-2027, "MAX_LEVERAGE_RATIO", REJECT, "Exceeded the maximum allowable position at current leverage."),
    _(-2028, "MIN_LEVERAGE_RATIO", REJECT, "Leverage is smaller than permitted: insufficient margin balance."),
    _(-4000, "INVALID_ORDER_STATUS", REJECT, "Invalid order status."),
    _(-4001, "PRICE_LESS_THAN_ZERO", REJECT, "Price less than 0."),
    _(-4002, "PRICE_GREATER_THAN_MAX_PRICE", REJECT, "Price greater than max price."),
    _(-4003, "QTY_LESS_THAN_ZERO", REJECT, "Quantity less than zero."),
    _(-4004, "QTY_LESS_THAN_MIN_QTY", REJECT, "Quantity less than min quantity."),
    _(-4005, "QTY_GREATER_THAN_MAX_QTY", REJECT, "Quantity greater than max quantity."),
    _(-4006, "STOP_PRICE_LESS_THAN_ZERO", REJECT, "Stop price less than zero."),
    _(-4007, "STOP_PRICE_GREATER_THAN_MAX_PRICE", REJECT, "Stop price greater than max price."),
    _(-4008, "TICK_SIZE_LESS_THAN_ZERO", REJECT, "Tick size less than zero."),
    _(-4009, "MAX_PRICE_LESS_THAN_MIN_PRICE", REJECT, "Max price less than min price."),
    _(-4010, "MAX_QTY_LESS_THAN_MIN_QTY", REJECT, "Max qty less than min qty."),
    _(-4011, "STEP_SIZE_LESS_THAN_ZERO", REJECT, "Step size less than zero."),
    _(-4012, "MAX_NUM_ORDERS_LESS_THAN_ZERO", REJECT, "Max mum orders less than zero."),
    _(-4013, "PRICE_LESS_THAN_MIN_PRICE", REJECT, "Price less than min price."),
    _(-4014, "PRICE_NOT_INCREASED_BY_TICK_SIZE", REJECT, "Price not increased by tick size."),
    _(-4015, "INVALID_CL_ORD_ID_LEN", OUR_BUG, "Client order id is not valid.", "Client order id length should not be more than 36 chars"),
    _(-4016, "PRICE_HIGHTER_THAN_MULTIPLIER_UP", REJECT, "Price is higher than mark price multiplier cap."),
    _(-4017, "MULTIPLIER_UP_LESS_THAN_ZERO", REJECT, "Multiplier up less than zero."),
    _(-4018, "MULTIPLIER_DOWN_LESS_THAN_ZERO", REJECT, "Multiplier down less than zero."),
    _(-4019, "COMPOSITE_SCALE_OVERFLOW", REJECT, "Composite scale too large."),
    _(-4020, "TARGET_STRATEGY_INVALID", REJECT, "Target strategy invalid for orderType '%s',reduceOnly '%s'."),
    _(-4021, "INVALID_DEPTH_LIMIT", OUR_BUG, "Invalid depth limit.", "'%s' is not valid depth limit."),
    _(-4022, "WRONG_MARKET_STATUS", OUR_BUG, "market status sent is not valid."),
    _(-4023, "QTY_NOT_INCREASED_BY_STEP_SIZE", REJECT, "Qty not increased by step size."),
    _(-4024, "PRICE_LOWER_THAN_MULTIPLIER_DOWN", REJECT, "Price is lower than mark price multiplier floor."),
    _(-4025, "MULTIPLIER_DECIMAL_LESS_THAN_ZERO", REJECT, "Multiplier decimal less than zero."),
    _(-4026, "COMMISSION_INVALID", REJECT, "Commission invalid.", "%s less than zero.", "%s absolute value greater than %s"),
    _(-4027, "INVALID_ACCOUNT_TYPE", REJECT, "Invalid account type."),
    _(-4028, "INVALID_LEVERAGE", REJECT, "Invalid leverage", "Leverage %s is not valid", "Leverage %s already exist with %s"),
    _(-4029, "INVALID_TICK_SIZE_PRECISION", REJECT, "Tick size precision is invalid."),
    _(-4030, "INVALID_STEP_SIZE_PRECISION", REJECT, "Step size precision is invalid."),
    _(-4031, "INVALID_WORKING_TYPE", OUR_BUG, "Invalid parameter working type", "Invalid parameter working type: %s"),
    _(-4032, "EXCEED_MAX_CANCEL_ORDER_SIZE", OUR_BUG, "Exceed maximum cancel order size.", "Invalid parameter working type: %s"),
    _(-4033, "INSURANCE_ACCOUNT_NOT_FOUND", REJECT, "Insurance account not found."),
    _(-4044, "INVALID_BALANCE_TYPE", REJECT, "Balance Type is invalid."),
    _(-4045, "MAX_STOP_ORDER_EXCEEDED", REJECT, "Reach max stop order limit."),
    _(-4046, "NO_NEED_TO_CHANGE_MARGIN_TYPE", ALREADY_SO, "No need to change margin type."),
    _(-4047, "THERE_EXISTS_OPEN_ORDERS", REJECT, "Margin type cannot be changed if there exists open orders."),
    _(-4048, "THERE_EXISTS_QUANTITY", REJECT, "Margin type cannot be changed if there exists position."),
    _(-4049, "ADD_ISOLATED_MARGIN_REJECT", REJECT, "Add margin only support for isolated position."),
    _(-4050, "CROSS_BALANCE_INSUFFICIENT", REJECT, "Cross balance insufficient."),
    _(-4051, "ISOLATED_BALANCE_INSUFFICIENT", REJECT, "Isolated balance insufficient."),
    _(-4052, "NO_NEED_TO_CHANGE_AUTO_ADD_MARGIN", ALREADY_SO, "No need to change auto add margin."),
    _(-4053, "AUTO_ADD_CROSSED_MARGIN_REJECT", REJECT, "Auto add margin only support for isolated position."),
    _(-4054, "ADD_ISOLATED_MARGIN_NO_POSITION_REJECT", REJECT, "Cannot add position margin: position is 0."),
    _(-4055, "AMOUNT_MUST_BE_POSITIVE", REJECT, "Amount must be positive."),
    _(-4056, "INVALID_API_KEY_TYPE", FATAL, "Invalid api key type."),
    _(-4057, "INVALID_RSA_PUBLIC_KEY", FATAL, "Invalid api public key"),
    _(-4058, "MAX_PRICE_TOO_LARGE", REJECT, "maxPrice and priceDecimal too large,please check."),
    _(-4059, "NO_NEED_TO_CHANGE_POSITION_SIDE", ALREADY_SO, "No need to change position side."),
    _(-4060, "INVALID_POSITION_SIDE", OUR_BUG, "Invalid position side."),
    _(-4061, "POSITION_SIDE_NOT_MATCH", REJECT, "Order's position side does not match user's setting."),
    _(-4062, "REDUCE_ONLY_CONFLICT", REJECT, "Invalid or improper reduceOnly value."),
    _(-4063, "INVALID_OPTIONS_REQUEST_TYPE", REJECT, "Invalid options request type"),
    _(-4064, "INVALID_OPTIONS_TIME_FRAME", REJECT, "Invalid options time frame"),
    _(-4065, "INVALID_OPTIONS_AMOUNT", REJECT, "Invalid options amount"),
    _(-4066, "INVALID_OPTIONS_EVENT_TYPE", REJECT, "Invalid options event type"),
    _(-4067, "POSITION_SIDE_CHANGE_EXISTS_OPEN_ORDERS", REJECT, "Position side cannot be changed if there exists open orders."),
    _(-4068, "POSITION_SIDE_CHANGE_EXISTS_QUANTITY", REJECT, "Position side cannot be changed if there exists position."),
    _(-4069, "INVALID_OPTIONS_PREMIUM_FEE", REJECT, "Invalid options premium fee"),
    _(-4070, "INVALID_CL_OPTIONS_ID_LEN", REJECT, "Client options id is not valid.", "Client options id length should be less than 32 chars"),
    _(-4071, "INVALID_OPTIONS_DIRECTION", REJECT, "Invalid options direction"),
    _(-4072, "OPTIONS_PREMIUM_NOT_UPDATE", REJECT, "premium fee is not updated, reject order"),
    _(-4073, "OPTIONS_PREMIUM_INPUT_LESS_THAN_ZERO", REJECT, "input premium fee is less than 0, reject order"),
    _(-4074, "OPTIONS_AMOUNT_BIGGER_THAN_UPPER", REJECT, "Order amount is bigger than upper boundary or less than 0, reject order"),
    _(-4075, "OPTIONS_PREMIUM_OUTPUT_ZERO", REJECT, "output premium fee is less than 0, reject order"),
    _(-4076, "OPTIONS_PREMIUM_TOO_DIFF", REJECT, "original fee is too much higher than last fee"),
    _(-4077, "OPTIONS_PREMIUM_REACH_LIMIT", REJECT, "place order amount has reached to limit, reject order"),
    _(-4078, "OPTIONS_COMMON_ERROR", REJECT, "options internal error"),
    _(-4079, "INVALID_OPTIONS_ID", REJECT, "invalid options id", "invalid options id: %s", "duplicate options id %s for user %s"),
    _(-4080, "OPTIONS_USER_NOT_FOUND", REJECT, "user not found", "user not found with id: %s"),
    _(-4081, "OPTIONS_NOT_FOUND", REJECT, "options not found", "options not found with id: %s"),
    _(-4082, "INVALID_BATCH_PLACE_ORDER_SIZE", OUR_BUG, "Invalid number of batch place orders.", "Invalid number of batch place orders: %s"),
    _(-4083, "PLACE_BATCH_ORDERS_FAIL", REJECT, "Fail to place batch orders."),
    _(-4084, "UPCOMING_METHOD", OUR_BUG, "Method is not allowed currently. Upcoming soon."),
    _(-4085, "INVALID_NOTIONAL_LIMIT_COEF", REJECT, "Invalid notional limit coefficient"),
    _(-4086, "INVALID_PRICE_SPREAD_THRESHOLD", REJECT, "Invalid price spread threshold"),
    _(-4087, "REDUCE_ONLY_ORDER_PERMISSION", RISK_MODE, "User can only place reduce only order"),
    _(-4088, "NO_PLACE_ORDER_PERMISSION", RISK_MODE, "User can not place order currently"),
    _(-4104, "INVALID_CONTRACT_TYPE", OUR_BUG, "Invalid contract type"),
    _(-4105, "SYMBOL_REDUCE_ONLY", RISK_MODE, "Only reduceOnly orders are allowed for this symbol."),
    _(-4106, "SYMBOL_REDUCE_ONLY_BUY", RISK_MODE, "Only reduceOnly buy orders are allowed for this symbol."),
    _(-4107, "SYMBOL_REDUCE_ONLY_SELL", RISK_MODE, "Only reduceOnly sell orders are allowed for this symbol."),
    _(-4108, "SYMBOL_NOT_OPEN", REJECT, "Symbol is on delivering or delivered or settling or closed or pre-trading."),
    _(-4109, "INACTIVE_ACCOUNT", FATAL, "This account is inactive, please transfer any amount to activate it."),
    _(-4114, "INVALID_CLIENT_TRAN_ID_LEN", OUR_BUG, "clientTranId is not valid", "Client tran id length should be less than 64 chars"),
    _(-4115, "DUPLICATED_CLIENT_TRAN_ID", REJECT, "clientTranId is duplicated", "Client tran id should be unique within 7 days"),
    _(-4116, "DUPLICATED_CLIENT_ORDER_ID", DUPLICATE, "clientOrderId is duplicated"),
    _(-4117, "STOP_ORDER_TRIGGERING", REJECT, "stop order is triggering"),
    _(-4118, "REDUCE_ONLY_MARGIN_CHECK_FAILED", REJECT, "ReduceOnly Order Failed. Please check your existing position and open orders"),
    _(-4120, "STOP_ORDER_SWITCH_ALGO", OUR_BUG, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."),
    _(-4129, "GTE_NEEDS_POSITION_OR_ORDER", REJECT, "Time in Force (TIF) GTE can only be used with open positions or open orders. Please ensure that open orders or positions are available."),
    _(-4130, "GTE_CLOSE_POSITION_EXISTS", REJECT, "An open stop or take profit order with GTE and closePosition in the direction is existing."),
    _(-4131, "MARKET_ORDER_REJECT", REJECT, "The counterparty's best price does not meet the PERCENT_PRICE filter limit"),
    _(-4135, "INVALID_ACTIVATION_PRICE", REJECT, "Invalid activation price"),
    _(-4136, "TARGET_STRATEGY_INVALID_FOR_CLOSE", REJECT, "Target strategy invalid for orderType %s,closePosition %s"),
    _(-4137, "QUANTITY_EXISTS_WITH_CLOSE_POSITION", REJECT, "Quantity must be zero with closePosition equals true"),
    _(-4138, "REDUCE_ONLY_MUST_BE_TRUE", REJECT, "Reduce only must be true with closePosition equals true"),
    _(-4139, "ORDER_TYPE_CANNOT_BE_MKT", REJECT, "Order type can not be market if it's unable to cancel"),
    _(-4140, "INVALID_OPENING_POSITION_STATUS", REJECT, "Invalid symbol status for opening position"),
    _(-4141, "SYMBOL_ALREADY_CLOSED", REJECT, "Symbol is closed"),
    _(-4142, "STRATEGY_INVALID_TRIGGER_PRICE", REJECT, "REJECT: take profit or stop order will be triggered immediately"),
    _(-4144, "INVALID_PAIR", OUR_BUG, "Invalid pair"),
    _(-4161, "ISOLATED_LEVERAGE_REJECT_WITH_POSITION", REJECT, "Leverage reduction is not supported in Isolated Margin Mode with open positions"),
    _(-4164, "MIN_NOTIONAL", REJECT, "Order's notional must be no smaller than 5.0 (unless you choose reduce only)", "Order's notional must be no smaller than %s (unless you choose reduce only)"),
    _(-4165, "INVALID_TIME_INTERVAL", OUR_BUG, "Invalid time interval", "Maximum time interval is %s days"),
    _(-4166, "SEARCH_WINDOW_RESTRICTED", OUR_BUG, "Search window is restricted to recent 2 days only."),
    _(-4167, "ISOLATED_REJECT_WITH_JOINT_MARGIN", REJECT, "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under isolated-margin mode."),
    _(-4168, "JOINT_MARGIN_REJECT_WITH_ISOLATED", REJECT, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."),
    _(-4169, "JOINT_MARGIN_REJECT_WITH_MB", REJECT, "Unable to adjust Multi-Assets Mode with insufficient margin balance in USDⓈ-M Futures."),
    _(-4170, "JOINT_MARGIN_REJECT_WITH_OPEN_ORDER", REJECT, "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures."),
    _(-4171, "NO_NEED_TO_CHANGE_JOINT_MARGIN", ALREADY_SO, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly."),
    _(-4172, "JOINT_MARGIN_REJECT_WITH_NEGATIVE_BALANCE", REJECT, "Unable to adjust Multi-Assets Mode with a negative wallet balance of margin available asset in USDⓈ-M Futures account."),
    _(-4183, "PRICE_HIGHTER_THAN_STOP_MULTIPLIER_UP", REJECT, "Price is higher than stop price multiplier cap.", "Limit price can't be higher than %s."),
    _(-4184, "PRICE_LOWER_THAN_STOP_MULTIPLIER_DOWN", REJECT, "Price is lower than stop price multiplier floor.", "Limit price can't be lower than %s."),
    _(-4189, "ACCOUNT_REDUCE_ONLY_SYMBOL", RISK_MODE, "Only reduceOnly orders are allowed on this symbol for this account."),
    _(-4192, "COOLING_OFF_PERIOD", REJECT, "Trade forbidden due to Cooling-off Period."),
    _(-4202, "ADJUST_LEVERAGE_KYC_FAILED", REJECT, "Intermediate Personal Verification is required for adjusting leverage over 20x"),
    _(-4203, "ADJUST_LEVERAGE_ONE_MONTH_FAILED", REJECT, "More than 20x leverage is available one month after account registration."),
    _(-4205, "ADJUST_LEVERAGE_X_DAYS_FAILED", REJECT, "More than 20x leverage is available %s days after Futures account registration."),
    _(-4206, "ADJUST_LEVERAGE_KYC_LIMIT", REJECT, "Users in this country has limited adjust leverage.", "Users in your location/country can only access a maximum leverage of %s"),
    _(-4208, "ADJUST_LEVERAGE_ACCOUNT_SYMBOL_FAILED", REJECT, "Current symbol leverage cannot exceed 20 when using position limit adjustment service."),
    _(-4209, "ADJUST_LEVERAGE_SYMBOL_FAILED", REJECT, "The max leverage of Symbol is 20x", "Leverage adjustment failed. Current symbol max leverage limit is %sx"),
    _(-4210, "STOP_PRICE_HIGHER_THAN_PRICE_MULTIPLIER_LIMIT", REJECT, "Stop price is higher than price multiplier cap.", "Stop price can't be higher than %s"),
    _(-4211, "STOP_PRICE_LOWER_THAN_PRICE_MULTIPLIER_LIMIT", REJECT, "Stop price is lower than price multiplier floor.", "Stop price can't be lower than %s"),
    _(-4400, "TRADING_QUANTITATIVE_RULE", RISK_MODE, "Futures Trading Quantitative Rules violated, only reduceOnly order is allowed, please try again later."),
    _(-4401, "LARGE_POSITION_SYM_RULE", RISK_MODE, "Futures Trading Risk Control Rules of large position holding violated, only reduceOnly order is allowed, please reduce the position."),
    _(-4402, "COMPLIANCE_BLACK_SYMBOL_RESTRICTION", REJECT, "Dear user, as per our Terms of Use and compliance with local regulations, this feature is currently not available in your region."),
    _(-4403, "ADJUST_LEVERAGE_COMPLIANCE_FAILED", REJECT, "Dear user, as per our Terms of Use and compliance with local regulations, the leverage can only up to 10x in your region", "Dear user, as per our Terms of Use and compliance with local regulations, the leverage can only up to %sx in your region"),
    _(-4408, "SYMBOL_REDUCE_ONLY_BY_REGULATION", RISK_MODE, "Symbol is in reduce-only mode due to regulation requirements. Please upgrade to Binance Credits Trading Mode."),
    _(-4411, "TRADFI_AGREEMENT_NOT_SIGNED", REJECT, "Please sign TradFi-Perps agreement contract"),
    _(-4509, "GTE_NEEDS_POSITION", REJECT, "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are available."),
    _(-4531, "DUAL_SIDE_SYNC", REJECT, "Position mode change requires syncing UM and CM. Please close any open positions or orders in CM and try again."),
    _(-5000, "NO_SUCH_PATH", OUR_BUG, "Path is invalid", "Path %s, Method %s is invalid"),
    _(-5021, "FOK_ORDER_REJECT", REJECT, "Due to the order could not be filled immediately, the FOK order has been rejected."),
    _(-5022, "GTX_ORDER_REJECT", REJECT, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    _(-5024, "MOVE_ORDER_NOT_ALLOWED_SYMBOL_REASON", REJECT, "Symbol is not in trading status. Order amendment is not permitted."),
    _(-5025, "LIMIT_ORDER_ONLY", REJECT, "Only limit order is supported."),
    _(-5026, "EXCEED_MAXIMUM_MODIFY_ORDER_LIMIT", REJECT, "Exceed maximum modify order limit."),
    _(-5027, "SAME_ORDER", ALREADY_SO, "No need to modify the order."),
    _(-5028, "ME_RECVWINDOW_REJECT", CLOCK, "Timestamp for this request is outside of the ME recvWindow."),
    _(-5029, "MODIFICATION_MIN_NOTIONAL", REJECT, "Order's notional must be no smaller than %s"),
    _(-5037, "INVALID_PRICE_MATCH", OUR_BUG, "Invalid price match"),
    _(-5038, "UNSUPPORTED_ORDER_TYPE_PRICE_MATCH", OUR_BUG, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT"),
    _(-5039, "INVALID_SELF_TRADE_PREVENTION_MODE", OUR_BUG, "Invalid self trade prevention mode"),
    _(-5040, "FUTURE_GOOD_TILL_DATE", REJECT, "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)"),
    _(-5041, "BBO_ORDER_REJECT", REJECT, "No depth matches this BBO order"),
    _(-5043, "MODIFICATION_PENDING", REJECT, "A modification of this order is already pending."),
    _(-5047, "ORIGINAL_ORDER_NOT_REDUCE_ONLY", REJECT, "The original order is not a reduce-only order."),
)
# fmt: on

CODES: Final[dict[int, Code]] = {code.number: code for code in _TABLE}
