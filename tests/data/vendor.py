"""Vendor files as tests write them: rows of texts in, a file in the vendor's form out."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Sequence
from pathlib import Path

AGG_TRADES = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
KLINES = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
BOOK_TICKER = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


def written(path: Path, rows: Sequence[str], header: str = "") -> Path:
    """A file of rows, packed as its name says."""
    text = "".join(f"{row}\n" for row in ([header, *rows] if header else rows)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix:
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr(f"{path.stem}.csv", text)
        case ".gz":
            path.write_bytes(gzip.compress(text))
        case _:
            path.write_bytes(text)
    return path
