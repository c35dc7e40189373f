#!/usr/bin/env python3
"""Writes slt/tpch.slt without answers: TPC-H's tables, a few hundred rows of them, its 22 queries.

    tpch.py > slt/tpch.slt && slt.py CONNECTION slt/tpch.slt

The rows are not those of TPC-H's dbgen: names, dates and prices are drawn by a generator of numbers
that stands here, from lists short enough that every query finds something. The queries are TPC-H's,
with the parameters fitted to the rows.
"""

state = 7


def draw(n):
    """A number from 0 to n - 1."""
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 33) % n


def pick(words):
    return words[draw(len(words))]


def money(low, high):
    return f"{low + draw((high - low) * 100) / 100:.2f}"


def date(number):
    """The date so many days after 1992-01-01, up to 1998-12-31."""
    year = 1992
    while number >= (366 if year % 4 == 0 else 365):
        number -= 366 if year % 4 == 0 else 365
        year += 1
    lengths = [31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    month = 0
    while number >= lengths[month]:
        number -= lengths[month]
        month += 1
    return f"{year}-{month + 1:02}-{number + 1:02}"


def insert(table, rows):
    shown = []
    for row in rows:
        values = ("NULL" if v is None else str(v) if not isinstance(v, str) or v.replace(".", "", 1).lstrip("-").isdigit() and "." in v
                  else "'" + v.replace("'", "''") + "'" for v in row)
        shown.append("(" + ", ".join(values) + ")")
    print(f"INSERT INTO {table} VALUES\n" + ",\n".join(shown) + "\n")


regions = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
nations = [("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("FRANCE", 3), ("GERMANY", 3),
           ("INDIA", 2), ("JAPAN", 2), ("KENYA", 0), ("SAUDI ARABIA", 4), ("UNITED KINGDOM", 3)]
words = ["quick", "final", "special", "requests", "deposits", "pending", "accounts", "sleep", "furiously", "ironic", "Customer", "Complaints"]
colours = ["forest", "green", "almond", "navy", "ivory"]


def comment(n):
    return " ".join(pick(words) for _ in range(n))


suppliers = [(k, f"Supplier#{k:09}", f"street {draw(99)}", draw(len(nations)), None, money(-900, 9000), comment(4)) for k in range(1, 15)]
suppliers = [(k, n, a, nation, f"{nation + 10}-{draw(900) + 100}-{draw(900) + 100}", b, c) for k, n, a, nation, _, b, c in suppliers]
parts = [(k, f"{pick(colours)} {pick(colours)}", f"Manufacturer#{draw(3) + 1}", f"Brand#{draw(2) + 1}{draw(2) + 2}",
          pick(["ECONOMY ANODIZED STEEL", "PROMO BRUSHED BRASS", "MEDIUM POLISHED TIN", "STANDARD PLATED BRASS", "PROMO BURNISHED COPPER"]),
          pick([3, 9, 14, 15, 23]), pick(["SM CASE", "MED BOX", "LG BOX", "MED BAG", "SM PACK"]), f"{900 + k}.{draw(100):02}", comment(2))
         for k in range(1, 31)]
partsupps = [(p[0], (p[0] * 3 + i * 4) % 14 + 1, draw(200) + 1, money(1, 1000), comment(3)) for p in parts for i in range(3)]
customers = [(k, f"Customer#{k:09}", f"road {draw(99)}", n, f"{n + 10}-{draw(900) + 100}-{draw(900) + 100}", money(-900, 9000),
              pick(["BUILDING", "AUTOMOBILE", "MACHINERY"]), comment(4)) for k in range(1, 31) for n in [draw(len(nations))]]
orders, lines = [], []
for k in range(1, 91):
    day = draw(2000)
    rows = []
    for line in range(1, draw(6) + 1):
        part, supplier = partsupps[draw(len(partsupps))][:2]
        n = draw(50) + 1
        ship, commit = day + draw(121) + 1, day + draw(61) + 30
        receipt = ship + draw(30) + 1
        price = f"{n * float(parts[part - 1][7]):.2f}"
        rows.append((k, part, supplier, line, n, price, f"0.0{draw(10)}", f"0.0{draw(9)}",
                     ("R" if draw(2) else "A") if receipt <= 1263 else "N", "F" if ship <= 1263 else "O", date(ship), date(commit), date(receipt),
                     pick(["DELIVER IN PERSON", "COLLECT COD", "NONE"]), pick(["AIR", "AIR REG", "MAIL", "SHIP", "TRUCK"]), comment(2)))
    status = {"F"} if not rows else {row[9] for row in rows}
    total = f"{sum(float(row[5]) for row in rows):.2f}"
    orders.append((k, draw(20) + 1, status.pop() if len(status) == 1 else "P", total, date(day),
                   pick(["1-URGENT", "2-HIGH", "3-MEDIUM", "5-LOW"]), f"Clerk#{draw(9):09}", 0, comment(4)))
    lines += rows

print("""# TPC-H: its tables with their keys, a few hundred rows, its 22 queries. Written by tpch.py.

CREATE TABLE region (r_regionkey integer PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152))

CREATE TABLE nation (n_nationkey integer PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey integer NOT NULL REFERENCES region, n_comment varchar(152))

CREATE TABLE supplier (s_suppkey integer PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey integer NOT NULL REFERENCES nation, s_phone char(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL)

CREATE TABLE part (p_partkey integer PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL, p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL)

CREATE TABLE partsupp (ps_partkey integer NOT NULL REFERENCES part, ps_suppkey integer NOT NULL REFERENCES supplier, ps_availqty integer NOT NULL, ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey))

CREATE TABLE customer (c_custkey integer PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey integer NOT NULL REFERENCES nation, c_phone char(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL)

CREATE TABLE orders (o_orderkey integer PRIMARY KEY, o_custkey integer NOT NULL REFERENCES customer, o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL)

CREATE TABLE lineitem (l_orderkey integer NOT NULL REFERENCES orders, l_partkey integer NOT NULL REFERENCES part, l_suppkey integer NOT NULL REFERENCES supplier, l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))
""")
insert("region", [(k, name, None) for k, name in enumerate(regions)])
insert("nation", [(k, name, region, "c") for k, (name, region) in enumerate(nations)])
insert("supplier", suppliers)
insert("part", parts)
insert("partsupp", partsupps)
insert("customer", customers)
insert("orders", orders)
insert("lineitem", lines)
print("""# 1: pricing summary.
select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, sum(l_extendedprice) as sum_base_price,
  sum(l_extendedprice * (1 - l_discount)) as sum_disc_price,
  sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge,
  avg(l_quantity) as avg_qty, avg(l_extendedprice) as avg_price, avg(l_discount) as avg_disc, count(*) as count_order
from lineitem
where l_shipdate <= date '1998-12-01' - interval '90' day
group by l_returnflag, l_linestatus
order by l_returnflag, l_linestatus

# 2: the cheapest supplier.
select s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment
from part, supplier, partsupp, nation, region
where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = 15 and p_type like '%BRASS'
  and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'AMERICA'
  and ps_supplycost = (
    select min(ps_supplycost) from partsupp, supplier, nation, region
    where p_partkey = ps_partkey and s_suppkey = ps_suppkey and s_nationkey = n_nationkey
      and n_regionkey = r_regionkey and r_name = 'AMERICA')
order by s_acctbal desc, n_name, s_name, p_partkey
limit 100

# 3: orders not shipped yet.
select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, o_shippriority
from customer, orders, lineitem
where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey
  and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'
group by l_orderkey, o_orderdate, o_shippriority
order by revenue desc, o_orderdate
limit 10

# 4: order priorities.
select o_orderpriority, count(*) as order_count
from orders
where o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-07-01' + interval '9' month
  and exists (select * from lineitem where l_orderkey = o_orderkey and l_commitdate < l_receiptdate)
group by o_orderpriority
order by o_orderpriority

# 5: volume within a region.
select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue
from customer, orders, lineitem, supplier, nation, region
where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and c_nationkey = s_nationkey
  and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'AMERICA'
  and o_orderdate >= date '1993-01-01' and o_orderdate < date '1993-01-01' + interval '4' year
group by n_name
order by revenue desc

# 6: forecast of revenue.
select sum(l_extendedprice * l_discount) as revenue
from lineitem
where l_shipdate >= date '1994-01-01' and l_shipdate < date '1994-01-01' + interval '1' year
  and l_discount between 0.06 - 0.01 and 0.06 + 0.01 and l_quantity < 24

# 7: volume between two nations.
select supp_nation, cust_nation, l_year, sum(volume) as revenue
from (
  select n1.n_name as supp_nation, n2.n_name as cust_nation, extract(year from l_shipdate) as l_year,
    l_extendedprice * (1 - l_discount) as volume
  from supplier, lineitem, orders, customer, nation n1, nation n2
  where s_suppkey = l_suppkey and o_orderkey = l_orderkey and c_custkey = o_custkey
    and s_nationkey = n1.n_nationkey and c_nationkey = n2.n_nationkey
    and ((n1.n_name = 'BRAZIL' and n2.n_name = 'CANADA') or (n1.n_name = 'CANADA' and n2.n_name = 'BRAZIL'))
    and l_shipdate between date '1992-01-01' and date '1998-12-31') as shipping
group by supp_nation, cust_nation, l_year
order by supp_nation, cust_nation, l_year

# 8: share of a market.
select o_year, sum(case when nation = 'BRAZIL' then volume else 0 end) / sum(volume) as mkt_share
from (
  select extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) as volume, n2.n_name as nation
  from part, supplier, lineitem, orders, customer, nation n1, nation n2, region
  where p_partkey = l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey and o_custkey = c_custkey
    and c_nationkey = n1.n_nationkey and n1.n_regionkey = r_regionkey and r_name = 'AMERICA'
    and s_nationkey = n2.n_nationkey and o_orderdate between date '1993-01-01' and date '1996-12-31'
    and p_type = 'ECONOMY ANODIZED STEEL') as all_nations
group by o_year
order by o_year

# 9: profit by product.
select nation, o_year, sum(amount) as sum_profit
from (
  select n_name as nation, extract(year from o_orderdate) as o_year,
    l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as amount
  from part, supplier, lineitem, partsupp, orders, nation
  where s_suppkey = l_suppkey and ps_suppkey = l_suppkey and ps_partkey = l_partkey and p_partkey = l_partkey
    and o_orderkey = l_orderkey and s_nationkey = n_nationkey and p_name like '%green%') as profit
group by nation, o_year
order by nation, o_year desc

# 10: returned items.
select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) as revenue, c_acctbal, n_name, c_address, c_phone, c_comment
from customer, orders, lineitem, nation
where c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate >= date '1993-10-01'
  and o_orderdate < date '1993-10-01' + interval '3' month and l_returnflag = 'R' and c_nationkey = n_nationkey
group by c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
order by revenue desc
limit 20

# 11: important stock.
select ps_partkey, sum(ps_supplycost * ps_availqty) as value
from partsupp, supplier, nation
where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'BRAZIL'
group by ps_partkey
having sum(ps_supplycost * ps_availqty) > (
  select sum(ps_supplycost * ps_availqty) * 0.05 from partsupp, supplier, nation
  where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'BRAZIL')
order by value desc

# 12: modes of shipping.
select l_shipmode,
  sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' then 1 else 0 end) as high_line_count,
  sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> '2-HIGH' then 1 else 0 end) as low_line_count
from orders, lineitem
where o_orderkey = l_orderkey and l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate
  and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01'
  and l_receiptdate < date '1994-01-01' + interval '3' year
group by l_shipmode
order by l_shipmode

# 13: distribution of customers.
select c_count, count(*) as custdist
from (
  select c_custkey, count(o_orderkey)
  from customer left outer join orders on c_custkey = o_custkey and o_comment not like '%special%requests%'
  group by c_custkey) as c_orders (c_custkey, c_count)
group by c_count
order by custdist desc, c_count desc

# 14: effect of promotion.
select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end)
  / sum(l_extendedprice * (1 - l_discount)) as promo_revenue
from lineitem, part
where l_partkey = p_partkey and l_shipdate >= date '1994-09-01' and l_shipdate < date '1994-09-01' + interval '1' month

# 15: the top supplier.
create view revenue0 (supplier_no, total_revenue) as
select l_suppkey, sum(l_extendedprice * (1 - l_discount))
from lineitem
where l_shipdate >= date '1996-01-01' and l_shipdate < date '1996-01-01' + interval '3' month
group by l_suppkey

select s_suppkey, s_name, s_address, s_phone, total_revenue
from supplier, revenue0
where s_suppkey = supplier_no and total_revenue = (select max(total_revenue) from revenue0)
order by s_suppkey

drop view revenue0

# 16: suppliers of parts.
select p_brand, p_type, p_size, count(distinct ps_suppkey) as supplier_cnt
from partsupp, part
where p_partkey = ps_partkey and p_brand <> 'Brand#12' and p_type not like 'MEDIUM POLISHED%'
  and p_size in (3, 9, 14, 15, 23, 36, 45, 49)
  and ps_suppkey not in (select s_suppkey from supplier where s_comment like '%Customer%Complaints%')
group by p_brand, p_type, p_size
order by supplier_cnt desc, p_brand, p_type, p_size

# 17: small orders.
select sum(l_extendedprice) / 7.0 as avg_yearly
from lineitem, part
where p_partkey = l_partkey and p_brand = 'Brand#22' and p_container = 'SM PACK'
  and l_quantity < (select 0.7 * avg(l_quantity) from lineitem where l_partkey = p_partkey)

# 18: large orders.
select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity)
from customer, orders, lineitem
where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 150)
  and c_custkey = o_custkey and o_orderkey = l_orderkey
group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
order by o_totalprice desc, o_orderdate
limit 100

# 19: discounted revenue.
select sum(l_extendedprice * (1 - l_discount)) as revenue
from lineitem, part
where (p_partkey = l_partkey and p_brand = 'Brand#12' and p_container in ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
    and l_quantity >= 1 and l_quantity <= 1 + 30 and p_size between 1 and 15
    and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')
  or (p_partkey = l_partkey and p_brand = 'Brand#23' and p_container in ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
    and l_quantity >= 10 and l_quantity <= 10 + 30 and p_size between 1 and 20
    and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')
  or (p_partkey = l_partkey and p_brand = 'Brand#13' and p_container in ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
    and l_quantity >= 20 and l_quantity <= 20 + 10 and p_size between 1 and 15
    and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')

# 20: suppliers with too much.
select s_name, s_address
from supplier, nation
where s_suppkey in (
    select ps_suppkey from partsupp
    where ps_partkey in (select p_partkey from part where p_name like 'forest%')
      and ps_availqty > (
        select 0.5 * sum(l_quantity) from lineitem
        where l_partkey = ps_partkey and l_suppkey = ps_suppkey
          and l_shipdate >= date '1993-01-01' and l_shipdate < date '1993-01-01' + interval '3' year))
  and s_nationkey = n_nationkey and n_name in ('CANADA', 'FRANCE', 'BRAZIL')
order by s_name

# 21: suppliers who kept orders waiting.
select s_name, count(*) as numwait
from supplier, lineitem l1, orders, nation
where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F'
  and l1.l_receiptdate > l1.l_commitdate
  and exists (select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey)
  and not exists (
    select * from lineitem l3
    where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey and l3.l_receiptdate > l3.l_commitdate)
  and s_nationkey = n_nationkey and n_name in ('SAUDI ARABIA', 'BRAZIL', 'EGYPT')
group by s_name
order by numwait desc, s_name
limit 100

# 22: customers to win.
select cntrycode, count(*) as numcust, sum(c_acctbal) as totacctbal
from (
  select substring(c_phone from 1 for 2) as cntrycode, c_acctbal
  from customer
  where substring(c_phone from 1 for 2) in ('13', '21', '12', '19', '16', '18', '17')
    and c_acctbal > (
      select avg(c_acctbal) from customer
      where c_acctbal > 0.00 and substring(c_phone from 1 for 2) in ('13', '21', '12', '19', '16', '18', '17'))
    and not exists (select * from orders where o_custkey = c_custkey)) as custsale
group by cntrycode
order by cntrycode""")
